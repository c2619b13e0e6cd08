// Tasks 3 and 4 of notebook 003: logistic regression and a three-layer network, by gradient descent on all training
// rows at once.
#include <algorithm>
#include <cstddef>
#include <iomanip>
#include <iostream>
#include <sstream>
#include <string>
#include <vector>

#include "adult/parts.hpp"
#include "common/plot.hpp"
#include "handgrad/training/interrupt.hpp"

namespace hg = handgrad;
using namespace handgrad::labs;

namespace {

/// The notebook's rate 1e-3 and number of epochs; or a rate `stride` times larger for `stride` times fewer epochs,
/// which follows the same path as long as lr·h stays far below 2 (README.md, 3).
struct Pace {
  int epochs, stride;
  double lr() const { return 1e-3 * stride; }
};

struct Run {
  double loss = 0;  // before the last step
  Scores test;
  std::vector<double> epochs, losses;  // in the notebook's steps of 1e-3
};

/// The notebook's loop on all rows at once. `chain()` runs forward and backward and returns the loss.
template <class Chain>
Run descend(const Pace& pace, hg::Sequential<float>& net, Chain&& chain, int talk_every) {
  hg::SGD sgd(net.parameters(), {.lr = pace.lr()});
  const hg::InterruptGuard guard;
  Run run;
  for (int i = 0; i < pace.epochs; i += pace.stride) {
    sgd.zero_grad();
    run.loss = chain();
    sgd.step();
    if (hg::InterruptGuard::requested()) throw Interrupted();
    run.epochs.push_back(i);
    run.losses.push_back(run.loss);
    if (talk_every > 0 && i % talk_every == 0)
      std::cout << "epoch " << std::setw(4) << i << "  loss " << std::fixed << std::setprecision(4) << run.loss
                << std::endl;
  }
  if (talk_every > 0) std::cout << "final loss: " << run.loss << '\n';
  return run;
}

/// Task 3: Linear, then Sigmoid, then the loss on probabilities.
Run logistic(const Census& census, hg::Sequential<float>& net, const Pace& pace, int talk_every) {
  net.to(census.device());
  hg::Sigmoid activation;
  hg::BCELoss loss;
  Run run = descend(
      pace, net,
      [&] {
        const double value = loss.forward(activation.forward(net.forward(census.train.x)), census.train.y).item();
        net.backward(activation.backward(loss.backward()));
        return value;
      },
      talk_every);
  hg::BCEWithLogitsLoss on_logits;
  run.test = evaluate_model(net, on_logits, census.test, evaluate_model(net, on_logits, census.valid).threshold);
  return run;
}

hg::Sequential<float> logistic_model(std::size_t columns) { return hg::Sequential{hg::Linear(columns, 1)}; }

/// Task 4: 108-256-128-1 with ReLU, and the loss on logits. Gradients accumulate until zero_grad(), so the gradient of
/// all rows is computed in blocks of 256, which fit the processor's cache. A GPU, which would wait for each block's
/// loss, takes all rows at once.
Run mlp(const Census& census, hg::Sequential<float>& net, const Pace& pace, int talk_every) {
  net.to(census.device());
  const std::size_t rows = census.train.y.numel();
  const float N = static_cast<float>(rows);
  hg::BCEWithLogitsLoss<float> share({.weight = hg::Tensor<float>{1 / N}, .reduction = hg::Reduction::Sum});
  hg::DataLoader blocks(hg::TensorDataset(census.train.x, census.train.y),
                        {.batch_size = census.device().is_cpu() ? 256 : rows});
  Run run = descend(
      pace, net,
      [&] {
        double value = 0;
        for (const auto& [x, y] : blocks) {
          value += share.forward(net.forward(x), y).item();
          net.backward(share.backward());
        }
        return value;
      },
      talk_every);
  hg::BCEWithLogitsLoss loss;
  run.test = evaluate_model(net, loss, census.test, evaluate_model(net, loss, census.valid).threshold);
  return run;
}

hg::Sequential<float> mlp_model(std::size_t columns) {
  return hg::Sequential{hg::Linear(columns, 256), hg::ReLU(), hg::Linear(256, 128), hg::ReLU(), hg::Linear(128, 1)};
}

/// The other seeds beside the run shown, in large steps.
template <class Model, class Train>
std::vector<Later<Run>> other_seeds(const Options& options, const Census& census, int epochs, Model model,
                                    Train train) {
  std::vector<Later<Run>> runs;
  for (std::uint64_t i = 1; i < seeds_that_decide(options, census); ++i)
    runs.push_back(later(
        [=, &census, seed = options.seed + i] {
          hg::manual_seed(seed);
          auto net = model(census.columns());
          return train(census, net, Pace{epochs, 40}, 0);
        },
        census.device()));
  return runs;
}

/// Loss and scores by which the figures are judged: the median of all seeds.
struct Median {
  double loss;
  Scores test;
};
Median print_spread(const Run& shown, const std::vector<Later<Run>>& others) {
  std::vector<Scores> scores{shown.test};
  std::vector<double> losses{shown.loss};
  for (const Later<Run>& other : others) {
    scores.push_back(other.get().test);
    losses.push_back(other.get().loss);
  }
  if (!others.empty()) {
    std::cout << "\nSeeds 0 to " << others.size() << ", the others in steps forty times as large (README.md, 3):\n";
    print_spread(scores);
    std::cout << "  final losses:" << std::setprecision(4);
    for (const double loss : losses) std::cout << ' ' << loss;
    std::cout << '\n';
  }
  std::sort(losses.begin(), losses.end());
  return {losses[(losses.size() - 1) / 2], median_of(scores)};
}

std::string pace_text(const Pace& pace) {
  std::ostringstream text;
  text << pace.epochs / pace.stride << " epochs, SGD with lr " << pace.lr();
  return text.str();
}

/// An erratum: argmax over a single column.
void argmax_section(const Lab& lab, const Census& census, hg::Sequential<float>& net, double threshold) {
  lab.section("4b   The notebook's predict()", "5");
  const hg::Tensor<float> p = predict_proba(net, census.test.x);
  std::ptrdiff_t ones = 0;
  for (std::size_t i = 0; i < p.size(0); ++i) {
    const float *row = p.data() + i * p.size(1), *end = row + p.size(1);
    ones += std::max_element(row, end) - row;
  }
  const hg::Tensor<float> above = xt::cast<float>(p.xt() >= static_cast<float>(threshold));
  std::cout << "torch.argmax(p, dim=1) over a single column is always 0, whatever p is: " << ones << " of " << p.numel()
            << " rows are\npredicted to earn more than 50K. With p >= " << std::setprecision(4) << threshold
            << ", the threshold of the validation data, " << std::setprecision(0) << xt::sum(above.xt())() << " are.\n";
}

void plain_section(Lab& lab, const Census& census, const std::vector<Later<Run>>& logistic_runs,
                   const std::vector<Later<Run>>& mlp_runs) {
  const bool quick = lab.options.quick;
  const int stride = quick ? 40 : 1;

  lab.section("3    Logistic regression, full batch: " + pace_text({3000, stride}), "2");
  if (quick)
    std::cout << "(Quick form: forty steps of the notebook's in one, here and below. The path is the same, see\n"
                 "README.md, 3.)\n";
  hg::manual_seed(lab.options.seed);
  auto line = logistic_model(census.columns());
  const Run first = logistic(census, line, {3000, stride}, 300);
  print_scores_heading("\ntest");
  print_scores("logistic regression", first.test);
  const Median logistic_median = print_spread(first, logistic_runs);
  reach(lab, census, "003.logistic.loss", logistic_median.loss, "0.4372", logistic_median.loss < 0.43725);
  reach(lab, census, "003.logistic.auroc", logistic_median.test.auroc, "0.8487", logistic_median.test.auroc >= 0.8487);
  lab.figures.weights("logistic", line.state_dict());

  lab.section("4    108-256-128-1 with ReLU, full batch: " + pace_text({2000, stride}), "4");
  hg::manual_seed(lab.options.seed);
  auto net = mlp_model(census.columns());
  std::cout << net << '\n';
  const Run second = mlp(census, net, {2000, stride}, 200);
  print_scores_heading("\ntest");
  print_scores("network", second.test);
  const Median mlp_median = print_spread(second, mlp_runs);
  reach(lab, census, "003.mlp.loss", mlp_median.loss, "0.5638", mlp_median.loss < 0.56385);
  reach(lab, census, "003.mlp.auroc", mlp_median.test.auroc, "0.7589", mlp_median.test.auroc >= 0.7589);
  lab.figures.weights("mlp", net.state_dict());
  std::cout << "\nWorse than the line? Only slower: its loss is still falling (see the picture). The gradient of the\n"
               "first layer passes two layers of small weights, and 1e-3 is far too small a rate for it.\n";

  Plot losses("Full-batch descent, lr 1e-3", "epoch", "training loss");
  losses.line(first.epochs, first.losses, "logistic regression").line(second.epochs, second.losses, "network");
  draw(lab, "descent", {losses});
  draw(lab, "precision_recall_plain",
       {precision_recall_plot("Logistic regression, validation data", line, census.valid),
        precision_recall_plot("Network, validation data", net, census.valid)},
       2);
  argmax_section(lab, census, net, second.test.threshold);
}

}  // namespace

std::function<void()> plain_part(Lab& lab, const Census& census) {
  const auto logistic_runs = other_seeds(lab.options, census, 3000, logistic_model, logistic);
  const auto mlp_runs = other_seeds(lab.options, census, 2000, mlp_model, mlp);
  return [&lab, &census, logistic_runs, mlp_runs] { plain_section(lab, census, logistic_runs, mlp_runs); };
}
