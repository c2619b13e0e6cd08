// The exclusive or, with noise: four clouds, two classes, no straight boundary.
#include <algorithm>
#include <cmath>
#include <cstdint>
#include <handgrad/handgrad.hpp>
#include <iomanip>
#include <iostream>
#include <vector>

#include "common/boundary.hpp"
#include "common/plot.hpp"
#include "gabor/parts.hpp"

namespace hg = handgrad;
using namespace handgrad::labs;
using hg::Tensor;

namespace {

struct Data {
  hg::Samples<float> train, val, test;
};
Data draw_data() {
  Data data;
  data.train = hg::make_xor(2500);
  data.val = hg::make_xor(500);
  data.test = hg::make_xor(200);
  return data;
}

hg::Sequential<float> classifier() { return hg::Sequential{hg::Linear(2, 4), hg::Tanh(), hg::Linear(4, 1)}; }

/// A logit above 0 is a probability above 0.5.
double accuracy(hg::Sequential<float>& model, const hg::Samples<float>& data, hg::Device device) {
  const Tensor<float> logits = model.forward(data.x.to(device)).cpu();
  const Tensor<float> predicted = xt::cast<float>(logits.xt() > 0.f);
  return hg::accuracy_score(data.y, predicted);
}

struct Run {
  hg::Sequential<float> model = classifier();  // with the weights of the best epoch
  std::vector<double> loss, val_loss;
  int best_epoch = 0;
};

/// The notebook gives the model, the loss and the metric, and leaves training to the reader.
Run train(const Data& data, hg::Device device, int epochs = 60) {
  Run run;
  run.model.to(device);
  const Tensor<float> val_x = data.val.x.to(device), val_y = data.val.y.to(device);
  hg::DataLoader loader(hg::TensorDataset(data.train.x, data.train.y),
                        {.batch_size = 50, .shuffle = true, .device = device});
  hg::BCEWithLogitsLoss loss_fn;
  hg::SGD optimizer(run.model.parameters(), {.lr = 0.1, .momentum = 0.9});
  auto best = run.model.state_dict();
  for (int epoch = 1; epoch <= epochs; ++epoch) {
    double loss = 0;
    for (const auto& [x, y] : loader) {
      loss += loss_fn.forward(run.model.forward(x), y).item();
      optimizer.zero_grad();
      run.model.backward(loss_fn.backward());
      optimizer.step();
    }
    run.loss.push_back(loss / static_cast<double>(loader.size()));
    run.val_loss.push_back(loss_fn.forward(run.model.forward(val_x), val_y).item());
    if (run.val_loss.back() > *std::min_element(run.val_loss.begin(), run.val_loss.end())) continue;
    best = run.model.state_dict();
    run.best_epoch = epoch;
  }
  run.model.load_state_dict(best);
  return run;
}

void two_formulas(Lab& lab) {
  lab.section("5.3  The loss, and the sign in the notebook's formula");
  std::cout << "The notebook writes −[t ln p − (1−t) ln(1−p)]. With that minus, an example of class 0 costs\n"
               "+ln(1−p), less and less the surer the network is of class 1. Right is −[t ln p + (1−t) ln(1−p)]:\n\n"
               "   p      t = 1     t = 0    t = 0 with the minus\n";
  hg::BCELoss bce;
  for (const float p : {0.1f, 0.5f, 0.9f, 0.99f}) {
    const Tensor<float> probability{{p}};
    std::cout << std::setw(6) << std::setprecision(2) << p << std::setprecision(4) << std::setw(10)
              << bce.forward(probability, {{1}}).item() << std::setw(10) << bce.forward(probability, {{0}}).item()
              << std::setw(14) << std::log(1 - p) << '\n';
  }
  hg::BCEWithLogitsLoss<double> on_logits;
  const Tensor<double> z{{-2}, {0.3}, {1.5}}, t{{0}, {1}, {0}};
  std::cout << "\nThe gradient by the logit is p − t (README.md), and the check agrees:\n"
            << check_gradients(on_logits, z, t) << '\n';
}

}  // namespace

void xor_classifier(Lab& lab) {
  lab.section("5.1  Exclusive or: corners of the unit square, σ = 0.2");
  hg::manual_seed(0xABCD);
  const Data data = draw_data();
  std::cout << "Size of train dataset: " << data.train.x.size(0) << "\nTrain data point 0: " << data.train.x.rows(0, 1)
            << ' ' << data.train.y.rows(0, 1) << '\n';

  lab.section("5.2  Linear(2, 4), Tanh, Linear(4, 1)");
  const auto model = classifier();
  std::cout << model << '\n';
  for (const auto& [name, parameter] : model.named_parameters())
    std::cout << "Parameter " << name << ", shape " << parameter.shape().str() << '\n';
  lab.figures.exact("002.xor.params", model.parameter_count(), printed("17"));

  two_formulas(lab);

  lab.section("5.5  Training: SGD with momentum 0.9, lr 0.1, batches of 50, 60 epochs");
  const hg::Device device = lab.options.device;
  Run run = train(data, device);
  const double test = accuracy(run.model, data.test, device);
  std::cout << "best epoch " << run.best_epoch << ": accuracy on training data "
            << accuracy(run.model, data.train, device) << ", validation " << accuracy(run.model, data.val, device)
            << ", test " << test << '\n';
  const double wrong = std::erfc(2.5 / std::sqrt(2.0)) / 2;
  std::cout << "A cloud reaches over the border at distance 0.5 = 2.5σ with probability " << wrong
            << " in each coordinate:\nno classifier can expect more than " << (1 - wrong) * (1 - wrong) + wrong * wrong
            << ".\n";
  lab.figures.reach("002.xor.accuracy", test, printed("0.98"), test >= 0.98);
  lab.figures.weights("xor", run.model.state_dict());

  std::vector<double> epochs(run.loss.size());
  for (std::size_t i = 0; i < epochs.size(); ++i) epochs[i] = static_cast<double>(i + 1);
  Plot loss("XOR: the loss", "epoch", "binary cross-entropy");
  loss.line(epochs, run.loss, "training")
      .line(epochs, run.val_loss, "validation")
      .vertical(run.best_epoch, "best validation");
  hg::Sigmoid sigmoid;
  draw(lab, "xor",
       {decision_boundary(
            "XOR: the test data", data.test,
            [&](const Tensor<float>& x) { return sigmoid.forward(run.model.forward(x.to(device))).cpu(); }),
        loss.log_y()},
       2);

  std::cout << "\nTest accuracy from other seeds, with data, start and batches of their own:\n ";
  for (std::uint64_t seed = 1; seed <= 5; ++seed) {
    hg::manual_seed(seed);
    const Data other = draw_data();
    Run again = train(other, device);
    std::cout << ' ' << accuracy(again.model, other.test, device);
  }
  std::cout << '\n';
}
