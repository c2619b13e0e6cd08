// Beyond the notebooks: handwritten digits again, with a convolutional network. README.md beside this file derives the
// backward passes of convolution and pooling.
#include <algorithm>
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

constexpr std::size_t side = Digits::side;

hg::Sequential<float> model() {
  return hg::Sequential{hg::Conv2d(1, 8, 5, {.padding = 2}),
                        hg::ReLU(),
                        hg::MaxPool2d(2),
                        hg::Conv2d(8, 24, 3, {.padding = 1}),
                        hg::ReLU(),
                        hg::MaxPool2d(2),
                        hg::Flatten(),
                        hg::Dropout(0.5),
                        hg::Linear(24 * 7 * 7, Digits::classes)};
}

Tensor<float> as_images(const Tensor<float>& x) { return x.reshape({x.size(0), 1, side, side}); }

/// In batches of some hundred images, since what the layers store is many times their size.
std::vector<long> predict(hg::Sequential<float>& net, const Tensor<float>& x) {
  net.eval();
  std::vector<long> classes;
  for (std::size_t i = 0; i < x.size(0); i += 500) {
    const Tensor<float> some = as_images(x.rows(i, std::min(i + 500, x.size(0))));
    for (const long k : largest(net.forward(some.to(net.parameters()[0].value().device())).cpu())) classes.push_back(k);
  }
  net.train();
  return classes;
}

/// A plane as a picture; gnuplot's first row is at the bottom.
Plot picture(const std::string& title, const float* plane, std::size_t height, std::size_t width) {
  std::vector<double> pixels;
  for (std::size_t row = height; row-- > 0;)
    for (std::size_t column = 0; column < width; ++column) pixels.push_back(plane[row * width + column]);
  const auto axis = [](std::size_t n) { return hg::linspace<double>(0, static_cast<double>(n - 1), n); };
  Plot plot(title);
  plot.surface(axis(width), axis(height), pixels, "", Plot::Scale::Sequential).bare();
  return plot;
}

void draw_filters(const Lab& lab, hg::Sequential<float>& net) {
  const Tensor<float> W = dynamic_cast<hg::Conv2d<float>&>(net[0]).weight.value().cpu();
  std::vector<Plot> plots;
  for (std::size_t o = 0; o < W.size(0); ++o)
    plots.push_back(picture("filter " + std::to_string(o), W.data() + o * 25, 5, 5));
  draw(lab, "filters", plots, 4);
}

/// The layers' view of one digit: the image, the first filters' planes after the ReLU, and some of the second's.
void draw_activations(const Lab& lab, hg::Sequential<float>& net, const Tensor<float>& image) {
  const hg::Device device = net.parameters()[0].value().device();
  net.eval();
  Tensor<float> x = as_images(image).to(device);
  std::vector<Plot> plots{picture("a test image", image.data(), side, side)};
  for (std::size_t layer = 0; layer < 6; ++layer) {
    x = net[layer].forward(x).clone();
    if (layer != 1 && layer != 4) continue;
    const Tensor<float> planes = x.cpu();
    const std::size_t size = planes.size(2);
    for (std::size_t c = 0; c < (layer == 1 ? 7u : 8u); ++c)
      plots.push_back(picture((layer == 1 ? "first, " : "second, ") + std::to_string(c),
                              planes.data() + c * size * size, size, size));
  }
  net.train();
  draw(lab, "activations", plots, 4);
}

}  // namespace

HANDGRAD_LAB(digits, "", "handwritten digits by a convolutional network") {
  lab.section("1  The digits");
  const Digits data = read_digits(lab);
  const int epochs = lab.options.quick ? 8 : 20;

  lab.section("2  Two convolutions, AdamW, batches of 64, " + std::to_string(epochs) + " epochs");
  hg::manual_seed(lab.options.seed);
  auto net = model();
  const hg::Device device = lab.options.device;
  net.to(device);
  std::cout << net << "\n\n";
  hg::CrossEntropyLoss loss;
  hg::AdamW adamw(net.parameters(), {.lr = 2e-3});
  hg::CosineAnnealingLR schedule(adamw, epochs);
  hg::DataLoader train(hg::TensorDataset(as_images(data.x_train).to(device), data.y_train.to(device)),
                       {.batch_size = 64, .shuffle = true});
  std::vector<double> numbers, losses, test_errors;
  hg::FitOptions<float> options{.epochs = epochs, .schedulers = {&schedule}};
  options.callbacks.push_back([&](const hg::EpochResult& result) {
    const double accuracy = hg::accuracy_score(data.y_test, predict(net, data.x_test));
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
  lab.figures.shape("digits.accuracy", hg::accuracy_score(data.y_test, predicted));
  draw_mistakes(lab, data, predicted);

  lab.section("4  What the filters look for, and what they find");
  draw_filters(lab, net);
  draw_activations(lab, net, data.x_test.rows(0, 1));
  Plot loss_plot("Training loss", "epoch", "cross-entropy"), error_plot("Test error", "epoch", "% of the test digits");
  loss_plot.line(numbers, losses);
  error_plot.line(numbers, test_errors);
  draw(lab, "training", {loss_plot, error_plot}, 2);
}
