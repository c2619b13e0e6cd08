// Beyond the notebooks: handwritten digits, 784-256-128-10 with softmax and cross-entropy. README.md beside this file
// derives the backward pass.
#include <handgrad/handgrad.hpp>
#include <iomanip>
#include <iostream>
#include <string>
#include <vector>

#include "common/digit_images.hpp"
#include "common/lab.hpp"
#include "common/plot.hpp"

namespace hg = handgrad;
using namespace handgrad::labs;
using hg::Tensor;

namespace {

hg::Sequential<float> model() {
  return hg::Sequential{
      hg::Linear(Digits::pixels, 256), hg::ReLU(), hg::Dropout(0.2), hg::Linear(256, 128), hg::ReLU(), hg::Dropout(0.2),
      hg::Linear(128, Digits::classes)};
}

std::vector<long> predict(hg::Sequential<float>& net, const Tensor<float>& x) {
  net.eval();
  return largest(net.forward(x.to(net.parameters()[0].value().device())).cpu());
}

}  // namespace

HANDGRAD_LAB(mnist, "", "handwritten digits: a softmax over ten classes") {
  lab.section("1  The digits");
  const Digits data = read_digits(lab);
  const int epochs = lab.options.quick ? 8 : 25;

  lab.section("2  784-256-128-10, cross-entropy, AdamW, batches of 128, " + std::to_string(epochs) + " epochs");
  hg::manual_seed(lab.options.seed);
  auto net = model();
  const hg::Device device = lab.options.device;
  net.to(device);
  std::cout << net << "\n\n";
  hg::CrossEntropyLoss loss;
  hg::AdamW adamw(net.parameters(), {.lr = 1e-3});
  hg::CosineAnnealingLR schedule(adamw, epochs);
  // Move all digits to the network's device: they fit any GPU, and are shuffled there.
  hg::DataLoader train(hg::TensorDataset(data.x_train.to(device), data.y_train.to(device)),
                       {.batch_size = 128, .shuffle = true});
  std::vector<double> numbers, losses, test_errors;
  hg::FitOptions<float> options{.epochs = epochs, .schedulers = {&schedule}};
  options.callbacks.push_back([&](const hg::EpochResult& result) {
    const double accuracy = hg::accuracy_score(data.y_test, predict(net, data.x_test));
    net.train();
    numbers.push_back(result.epoch);
    losses.push_back(result.loss);
    test_errors.push_back(100 * (1 - accuracy));
    std::cout << "epoch " << std::setw(3) << result.epoch << std::fixed << std::setprecision(4) << "  training loss "
              << result.loss << std::setprecision(2) << "  test accuracy " << 100 * accuracy << " %" << std::endl;
    return true;
  });
  if (hg::fit(net, loss, adamw, train, options).end == hg::History::End::Interrupted) throw Interrupted();

  lab.section("3  What it takes for what");
  const std::vector<long> predicted = predict(net, data.x_test);
  std::cout << hg::classification_report(data.y_test, predicted, {.digits = 3});
  print_confusion(hg::confusion_matrix(data.y_test, predicted));
  lab.figures.shape("mnist.accuracy", hg::accuracy_score(data.y_test, predicted));
  draw_mistakes(lab, data, predicted);

  Plot loss_plot("Training loss", "epoch", "cross-entropy"), error_plot("Test error", "epoch", "% of the test digits");
  loss_plot.line(numbers, losses);
  error_plot.line(numbers, test_errors);
  draw(lab, "training", {loss_plot, error_plot}, 2);
}
