// Section 2 of the notebook: the same model from the library's parts.
#include <algorithm>
#include <cstdint>
#include <handgrad/handgrad.hpp>
#include <iomanip>
#include <iostream>
#include <vector>

#include "common/plot.hpp"
#include "logistic/parts.hpp"

namespace hg = handgrad;
using namespace handgrad::labs;
using hg::Tensor;

namespace {

/// Trains for `epochs` epochs. Returns the mean loss of the batches of each.
std::vector<double> fit_return_loss(int epochs, hg::Sequential<float>& model, hg::BCELoss<float>& loss,
                                    hg::SGD<float>& opt, hg::DataLoader<float>& loader, bool talk) {
  std::vector<double> losses;
  for (int epoch = 1; epoch <= epochs; ++epoch) {
    double total = 0;
    for (const auto& [xb, yb] : loader) {
      total += loss.forward(model.forward(xb), yb).item();
      opt.zero_grad();
      model.backward(loss.backward());
      opt.step();
    }
    losses.push_back(total / static_cast<double>(loader.size()));
    if (talk && (epoch == 10 || epoch % 100 == 0))
      std::cout << "Epoch [" << epoch << '/' << epochs << "], Loss: " << losses.back() << '\n';
  }
  return losses;
}

struct Run {
  std::vector<double> losses;
  Tensor<float> probs;  // (5, 1): of the five distinct rows
};

/// The notebook seeds nothing here.
Run train(std::uint64_t seed, bool talk) {
  hg::manual_seed(seed);
  const auto [x, y] = hg::apples(3);
  hg::DataLoader train_dl(hg::TensorDataset(x, y), {.batch_size = 5, .shuffle = true});
  hg::Sequential model{hg::Linear(3, 1), hg::Sigmoid()};
  hg::BCELoss loss;
  hg::SGD opt(model.parameters(), {.lr = 1e-5});
  if (talk)
    std::cout << model << "\nLoss before training: " << loss.forward(model.forward(x), y).item()
              << "\nProbabilities of the five distinct rows: " << model.forward(x.rows(0, 5)) << "\n\n";
  Run run;
  run.losses = fit_return_loss(1000, model, loss, opt, train_dl, talk);
  run.probs = model.forward(x.rows(0, 5)).clone();
  return run;
}

/// How many of the five distinct rows are on the right side of 0.5.
std::size_t right(const Tensor<float>& probs) {
  const Tensor<float> y = hg::apples().y;
  std::size_t count = 0;
  for (std::size_t i = 0; i < y.numel(); ++i) count += (probs.item(i, 0) > 0.5f) == (y.item(i, 0) > 0.5f);
  return count;
}

}  // namespace

void layers_section(Lab& lab) {
  lab.section("2.7  A data set of 15 rows");
  const auto [x, y] = hg::apples(3);
  const hg::TensorDataset train_ds(x, y);
  const auto first = train_ds.view(0, 3);
  std::cout << "train_ds[0:3]\n" << first->x << '\n' << first->y << '\n';

  lab.section("2.8  Batches of 5, in a random order");
  hg::manual_seed(lab.options.seed);
  hg::DataLoader train_dl(train_ds, {.batch_size = 5, .shuffle = true});
  const auto batch = train_dl.begin();
  std::cout << "the first of " << train_dl.size() << " batches:\n" << batch->x << '\n' << batch->y << '\n';

  lab.section("2.9  Linear(3, 1) and Sigmoid, SGD with lr 1e-5, 1000 epochs");
  std::cout << std::fixed << std::setprecision(4);
  const Run run = train(lab.options.seed, true);
  std::cout << "\nprobs = " << run.probs << "\ntargets = " << hg::apples().y << '\n';

  std::vector<double> epochs(run.losses.size());
  for (std::size_t i = 0; i < epochs.size(); ++i) epochs[i] = static_cast<double>(i + 1);
  Plot plot("Linear(3, 1) + Sigmoid: mean loss of an epoch's three batches", "epoch", "binary cross-entropy");
  plot.line(epochs, run.losses);
  draw(lab, "curve", {plot});

  std::cout << "\n seed    rows right    loss at the end    probs\n";
  std::size_t all_right = 0;
  constexpr std::uint64_t seeds = 5;
  for (std::uint64_t seed = lab.options.seed; seed < lab.options.seed + seeds; ++seed) {
    const Run other = train(seed, false);
    all_right += right(other.probs) == 5;
    std::cout << std::setw(5) << seed << std::setw(10) << right(other.probs) << " of 5" << std::setw(16)
              << other.losses.back() << "       ";
    for (const float p : other.probs.to_vector()) std::cout << ' ' << p;
    std::cout << '\n';
  }
  std::cout << "All five rows are right from " << all_right << " of " << seeds << " seeds.\n";
  lab.figures.reach("000.logreg.probs", run.probs, printed("0.4796 0.6554 0.9944 0.0032 0.9824"),
                    right(run.probs) == 5);
  lab.figures.shape("000.logreg.curve");
}
