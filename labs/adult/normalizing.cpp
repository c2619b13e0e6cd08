// Task 8 of notebook 003: batch normalisation, class weights and AdamW, and the four faults in it.
#include <iomanip>
#include <iostream>
#include <memory>
#include <sstream>
#include <string>
#include <utility>
#include <vector>

#include "adult/parts.hpp"
#include "common/plot.hpp"

namespace hg = handgrad;
using namespace handgrad::labs;
using hg::Tensor;

namespace {

enum class Norm { AfterReLU, BeforeReLU };
enum class Weight { Both, Positive };

/// BatchNorm between Linear and ReLU, as in the notebook's text, or after the ReLU, as in its code.
hg::Sequential<float> normalizing_model(std::size_t columns, Norm norm, double dropout_p = 0.5) {
  hg::Sequential<float> net;
  std::size_t in = columns;
  for (const std::size_t out : {256, 128}) {
    net.push_back(std::make_shared<hg::Linear<float>>(in, out));
    if (norm == Norm::BeforeReLU) net.push_back(std::make_shared<hg::BatchNorm1d<float>>(out));
    net.push_back(std::make_shared<hg::ReLU<float>>());
    if (norm == Norm::AfterReLU) net.push_back(std::make_shared<hg::BatchNorm1d<float>>(out));
    net.push_back(std::make_shared<hg::Dropout<float>>(dropout_p));
    in = out;
  }
  net.push_back(std::make_shared<hg::Linear<float>>(in, 1));
  return net;
}

hg::BCEWithLogitsLoss<float> weighted_loss(Weight kind, double weight, hg::Reduction reduction = hg::Reduction::Mean) {
  const Tensor<float> w{weight};
  return hg::BCEWithLogitsLoss<float>(
      kind == Weight::Both ? hg::BCEWithLogitsLossOptions<float>{.weight = w, .reduction = reduction}
                           : hg::BCEWithLogitsLossOptions<float>{.pos_weight = w, .reduction = reduction});
}

Trained normalizing(const Census& census, std::uint64_t seed, Norm norm, Weight kind) {
  hg::manual_seed(seed);
  Trained run{{}, normalizing_model(census.columns(), norm), {}};
  run.net.to(census.device());
  auto loss = weighted_loss(kind, census.positive_weight);
  hg::AdamW optimizer(run.net.parameters(), {.lr = 1e-3, .weight_decay = 1e-4});
  run.training = train(run.net, loss, optimizer, census,
                       {.epochs = 300, .patience = 8, .batch_size = 128, .shuffle = true, .gamma = 0.8});
  run.scores = judge(run.net, loss, census);
  return run;
}

void weight_section(const Lab& lab, const Census& census) {
  lab.section("8a   weight and pos_weight", "7");
  const double w = census.positive_weight;
  std::cout
      << std::fixed << std::setprecision(4)
      << "compute_class_weight('balanced') gives the positive class the weight N/(2·N₁) = " << w
      << ". The notebook\npasses it on as `weight`, which scales every row alike. `pos_weight` scales the positive "
         "rows only.\nδ of both:\n\n"
      << "     z    t    unweighted        weight    pos_weight\n";
  const Tensor<float> z{{-2}, {0}, {2}, {-2}, {0}, {2}}, t{{0}, {0}, {0}, {1}, {1}, {1}};
  hg::BCEWithLogitsLoss plain(hg::Reduction::Sum);
  auto both = weighted_loss(Weight::Both, w, hg::Reduction::Sum);
  auto positive = weighted_loss(Weight::Positive, w, hg::Reduction::Sum);
  std::vector<Tensor<float>> deltas;
  for (hg::Loss<float>* loss : {static_cast<hg::Loss<float>*>(&plain), static_cast<hg::Loss<float>*>(&both),
                                static_cast<hg::Loss<float>*>(&positive)}) {
    loss->forward(z, t);
    deltas.push_back(loss->backward().clone());
  }
  for (std::size_t i = 0; i < z.numel(); ++i) {
    std::cout << std::setprecision(0) << std::setw(6) << z.item(i, 0) << std::setw(5) << t.item(i, 0)
              << std::setprecision(4);
    for (const Tensor<float>& delta : deltas) std::cout << std::setw(14) << delta.item(i, 0);
    std::cout << '\n';
  }
  std::cout << "\nWith `weight` all gradients are " << w
            << " times as large: a larger learning rate, which AdamW then\n"
            << "divides out again. The balance of the classes is what it was.\n";
}

struct Variant {
  std::string name;
  Weight weight;
  Later<Trained> run;
};

/// The notebook's variant comes first, the intended one last.
std::vector<Variant> begin_variants(const Census& census, std::uint64_t seed) {
  std::vector<Variant> variants;
  for (const auto& [norm, norm_name] : {std::pair{Norm::AfterReLU, "after ReLU"}, {Norm::BeforeReLU, "before ReLU"}})
    for (const auto& [weight, weight_name] : {std::pair{Weight::Both, "weight"}, {Weight::Positive, "pos_weight"}})
      variants.push_back({std::string(norm_name) + ", " + weight_name, weight,
                          later(
                              [&census, seed, place = norm, kind = weight] {  // copies, for Clang 14
                                return normalizing(census, seed, place, kind);
                              },
                              census.device())});
  return variants;
}

void variants_section(const Lab& lab, const Census& census, const std::vector<Variant>& variants) {
  lab.section("8b   Batch norm after the ReLU or before it, weight or pos_weight", "7");
  print_scores_heading("test, threshold of the validation data");
  std::string at_half;
  for (const auto& [name, weight, later_run] : variants) {
    Trained& run = later_run.get();
    print_scores(name, run.scores.test);
    lab.figures.weights("batch norm " + name, run.net.state_dict());
    auto loss = weighted_loss(weight, census.positive_weight);
    const Scores half = evaluate_model(run.net, loss, census.test, 0.5);
    std::ostringstream line;
    line << "  " << std::left << std::setw(26) << name << std::right << std::fixed << std::setprecision(2)
         << 100 * half.precision << " %" << std::setw(12) << 100 * half.recall << " %\n";
    at_half += line.str();
  }
  std::cout << "\nAt the threshold 0.5           precision       recall\n"
            << at_half
            << "\npos_weight moves the probabilities of the positive class up, so that 0.5 is a useful threshold.\n"
               "Where the threshold is chosen anyway, as here, the weight is nearly undone by the choice. The\n"
               "notebook's order and its text's differ little on this data.\n";
}

/// Seconds for an epoch on a device, after one that is not counted.
double epoch_seconds(const Census& census, hg::Device device) {
  hg::Generator own(0);  // the labs' own numbers stay what they are
  const hg::GeneratorGuard guard(own);
  auto net = normalizing_model(census.columns(), Norm::BeforeReLU);
  net.to(device);
  auto loss = weighted_loss(Weight::Positive, census.positive_weight);
  hg::AdamW optimizer(net.parameters(), {.lr = 1e-3, .weight_decay = 1e-4});
  hg::DataLoader rows(hg::TensorDataset(census.train.x.cpu(), census.train.y.cpu()),
                      {.batch_size = 128, .device = device});
  const auto epoch = [&] {
    for (const auto& [x, t] : rows) {
      loss.forward(net.forward(x), t);
      optimizer.zero_grad();
      net.backward(loss.backward());
      optimizer.step();
    }
  };
  epoch();
  return hg::seconds_on(device, epoch);
}

/// The notebook's last cell, which ended in an error there: it found no GPU either.
void device_section(const Lab& lab, const Census& census) {
  lab.section("9    The same network on the GPU", "7");
  const double cpu = epoch_seconds(census, hg::Device::cpu());
  std::cout << std::fixed << std::setprecision(3) << "CPU: " << cpu << " s an epoch\n";
  if (!hg::cuda_available()) {
    std::cout << "No GPU to compare with: " << hg::cuda_unavailable_reason()
              << ".\nWhere there is one, the network goes there by net.to(Device::cuda()), and each batch too.\n";
    return;
  }
  const double gpu = epoch_seconds(census, hg::Device::cuda());
  std::cout << "GPU: " << gpu << " s an epoch\nCPU/GPU time: " << cpu / gpu << '\n';
}

struct Runs {
  std::vector<Variant> variants;
  Later<Trained> merged;  // the table as intended
  std::vector<Later<Trained>> other_seeds;
};

void normalizing_section(Lab& lab, const Censuses& censuses, const Runs& runs) {
  const Census& census = censuses.as_read;
  weight_section(lab, census);
  variants_section(lab, census, runs.variants);

  lab.section("8c   As meant: batch norm before the ReLU, pos_weight, AdamW", "7");
  std::cout
      << "(Unlike in the notebook the batches are shuffled, and from epoch to epoch the learning rate falls by a\n"
         "fifth, for which the patience is 8.)\n";
  Trained& run = runs.variants.back().run.get();
  print_epochs(run.training.history);
  print_end(run.training.history);
  const Scores valid = run.scores.valid;
  auto loss = weighted_loss(Weight::Positive, census.positive_weight);
  auto last = normalizing_model(census.columns(), Norm::BeforeReLU);
  last.load_state_dict(run.training.last_weights);
  last.to(census.device());
  const Judged of_last = judge(last, loss, census);
  print_scores_heading("\n");
  print_scores("validation", valid);
  print_scores("test, best weights", run.scores.test);
  print_scores("test, last weights", of_last.test);
  print_scores("test, best weights, leaked threshold", run.scores.leaked);
  print_scores("test, last weights, leaked threshold", of_last.leaked);
  std::cout << "\n`best_model = model` keeps no copy. The notebook's best model is the last one, "
            << run.training.history.epochs.size() - static_cast<std::size_t>(run.training.history.best_epoch)
            << " epochs past the\nbest: its AUROC on the test data is " << std::setprecision(2)
            << 100 * of_last.test.auroc << " % instead of " << 100 * run.scores.test.auroc
            << " %. The last row is what the\nnotebook would print.\n";

  lab.section("8d   The table as it was meant", "7");
  print_scores_heading("test");
  print_scores("categories with their spaces, " + std::to_string(census.columns()) + " columns", run.scores.test);
  print_scores("categories merged, " + std::to_string(censuses.intended.columns()) + " columns",
               runs.merged.get().scores.test);
  std::cout << "\nThe lost replacements did no harm: education-num holds the years of schooling in any case.\n";

  lab.section("8e   From other seeds", "7");
  const Seeds seeds = print_seeds(run, runs.other_seeds);
  draw(lab, "normalizing",
       {loss_plot("Batch norm, pos_weight, AdamW", run.training.history),
        precision_recall_plot("Validation data", run.net, census.valid)},
       2);
  device_section(lab, census);
  reach_scores(lab, census, "003.normalizing", seeds.scores, {0.9080, 0.7017, 0.6361, 0.7825});
}

}  // namespace

std::function<void()> normalizing_part(Lab& lab, const Censuses& censuses) {
  const Census& census = censuses.as_read;
  const std::uint64_t seed = lab.options.seed;
  const auto as_meant = [](const Census& table, std::uint64_t start) {
    return later([&table, start] { return normalizing(table, start, Norm::BeforeReLU, Weight::Positive); },
                 table.device());
  };
  Runs runs{begin_variants(census, seed), as_meant(censuses.intended, seed), {}};
  for (std::uint64_t i = 1; i < seeds_that_decide(lab.options, census); ++i)
    runs.other_seeds.push_back(as_meant(census, seed + i));
  return [&lab, &censuses, runs] { normalizing_section(lab, censuses, runs); };
}
