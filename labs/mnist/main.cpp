// Beyond the notebooks: handwritten digits, 784-256-128-10 with softmax and cross-entropy. README.md beside this file
// derives the backward pass.
#include <algorithm>
#include <cstddef>
#include <handgrad/handgrad.hpp>
#include <iomanip>
#include <iostream>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "common/lab.hpp"
#include "common/made_data.hpp"
#include "common/plot.hpp"

namespace hg = handgrad;
using namespace handgrad::labs;
using hg::Tensor;

namespace {

constexpr std::size_t side = 28, pixels = side * side, digits = 10;

struct Digits {
  Tensor<float> x_train, y_train, x_test, y_test;  // (N, 784) from 0 to 1, (N)
};

/// The path of an IDX file, gzipped or not.
std::optional<std::string> find(const Lab& lab, const std::string& name) {
  const auto zipped = lab.data("mnist/" + name + ".gz");
  return zipped ? zipped : lab.data("mnist/" + name);
}

Tensor<float> scaled(const Tensor<float>& images) {
  if (images.rank() != 3 || images.size(1) != side || images.size(2) != side)
    throw hg::ShapeError("digits: images of shape (N, 28, 28) expected, not " + images.shape().str());
  const Tensor<float> x = images.xt() / 255.0f;
  return x.reshape({images.size(0), pixels});
}

Digits digits_section(const Lab& lab) {
  lab.section("1  The digits");
  const auto train_images = find(lab, "train-images-idx3-ubyte"), train_labels = find(lab, "train-labels-idx1-ubyte");
  const auto test_images = find(lab, "t10k-images-idx3-ubyte"), test_labels = find(lab, "t10k-labels-idx1-ubyte");
  Digits data;
  if (train_images && train_labels && test_images && test_labels) {
    std::cout << "MNIST as it is: its training and its test images.\n";
    data = {scaled(hg::read_idx(*train_images)), hg::read_idx(*train_labels), scaled(hg::read_idx(*test_images)),
            hg::read_idx(*test_labels)};
  } else {
    Tensor<float> images, labels;
    std::size_t train = 8000;
    if (test_images && test_labels) {
      std::cout << "MNIST's 10,000 test images: the first 8,000 to train, the rest to test.\n";
      images = hg::read_idx(*test_images);
      labels = hg::read_idx(*test_labels);
    } else {
      std::cout
          << "There is no mnist/t10k-images-idx3-ubyte.gz (--data DIR or HANDGRAD_DATA; labs/fetch-data gets it):\n"
             "these are DRAWN DIGITS, easier than handwritten ones.\n";
      const auto made = make_digits(10000);
      images = made.x;
      labels = made.y;
    }
    train = std::min(train, images.size(0) * 4 / 5);
    const Tensor<float> x = scaled(images);
    data = {x.rows(0, train), labels.rows(0, train), x.rows(train, x.size(0)), labels.rows(train, labels.size(0))};
  }
  std::cout << "training " << data.x_train.shape().str() << ", test " << data.x_test.shape().str() << '\n';
  return data;
}

hg::Sequential<float> model() {
  return hg::Sequential{hg::Linear(pixels, 256), hg::ReLU(), hg::Dropout(0.2),
                        hg::Linear(256, 128),    hg::ReLU(), hg::Dropout(0.2),
                        hg::Linear(128, digits)};
}

/// The class with the largest logit of each row: softmax keeps the order.
std::vector<long> predict(hg::Sequential<float>& net, const Tensor<float>& x) {
  net.eval();
  const Tensor<float> z = net.forward(x.to(net.parameters()[0].value().device())).cpu();
  std::vector<long> classes;
  for (std::size_t i = 0; i < z.size(0); ++i) {
    const float* row = z.data() + i * digits;
    classes.push_back(std::max_element(row, row + digits) - row);
  }
  return classes;
}

void print_confusion(const hg::ConfusionMatrix& matrix) {
  std::cout << "\nRows: the digit; columns: what it was taken for.\n\n    ";
  for (const long label : matrix.labels) std::cout << std::setw(5) << label;
  std::cout << '\n';
  for (std::size_t i = 0; i < matrix.labels.size(); ++i) {
    std::cout << std::setw(4) << matrix.labels[i];
    for (const std::size_t count : matrix.counts[i]) std::cout << std::setw(5) << (count ? std::to_string(count) : ".");
    std::cout << '\n';
  }
}

/// The network's mistakes, drawn; then some that it got right, if there is room.
void draw_digits(const Lab& lab, const Digits& data, const std::vector<long>& predicted) {
  std::vector<std::size_t> shown;
  for (const bool wrong : {true, false})
    for (std::size_t i = 0; i < predicted.size() && shown.size() < (wrong ? 8u : 12u); ++i)
      if ((predicted[i] != static_cast<long>(data.y_test.item(i))) == wrong) shown.push_back(i);
  const auto axis = hg::linspace<double>(0, side - 1, side);
  std::vector<Plot> plots;
  for (const std::size_t i : shown) {
    std::vector<double> image;  // gnuplot's first row is at the bottom
    for (std::size_t row = side; row-- > 0;)
      for (std::size_t column = 0; column < side; ++column) image.push_back(data.x_test.item(i, row * side + column));
    const long is = static_cast<long>(data.y_test.item(i));
    plots.push_back(Plot("a " + std::to_string(is) + ", taken for " + std::to_string(predicted[i])));
    plots.back().surface(axis, axis, image, "", Plot::Scale::Sequential).bare();
  }
  draw(lab, "digits", plots, 4);
}

}  // namespace

HANDGRAD_LAB(mnist, "", "handwritten digits: a softmax over ten classes") {
  const Digits data = digits_section(lab);
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
  // All digits at once to where the network is: they fit into any GPU, and are shuffled there.
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
  draw_digits(lab, data, predicted);

  Plot loss_plot("Training loss", "epoch", "cross-entropy"), error_plot("Test error", "epoch", "% of the test digits");
  loss_plot.line(numbers, losses);
  error_plot.line(numbers, test_errors);
  draw(lab, "training", {loss_plot, error_plot}, 2);
}
