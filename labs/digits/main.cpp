// Beyond the notebooks: handwritten digits again, with a convolutional network. README.md beside this file derives the
// backward passes of convolution and pooling.
#include <handgrad/handgrad.hpp>
#include <string>
#include <vector>

#include "common/digit_training.hpp"
#include "common/lab.hpp"
#include "common/plot.hpp"
#include "digits/parts.hpp"

namespace hg = handgrad;
using namespace handgrad::labs;
using hg::Tensor;

namespace {

/// A plane as a picture; gnuplot's first row is at the bottom.
Plot picture(const std::string& title, const float* plane, std::size_t height, std::size_t width) {
  std::vector<double> pixels;
  for (std::size_t row = height; row-- > 0;)
    for (std::size_t column = 0; column < width; ++column) pixels.push_back(plane[row * width + column]);
  const auto axis = [](std::size_t n) { return hg::linspace<double>(0, static_cast<double>(n - 1), n); };
  Plot plot(title);
  plot.surface(axis(width), axis(height), pixels, "", Plot::Scale::Sequential);
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
  Tensor<float> x = image.to(device);
  std::vector<Plot> plots{picture("a test image", image.data(), Digits::side, Digits::side)};
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
  lab.section("1  The digits", "1");
  const Digits data = as_images(read_digits(lab));
  const DigitRecipe recipe = convolutional_recipe(lab.options.quick);

  lab.section("2  Two convolutions, AdamW, batches of 64, " + std::to_string(recipe.epochs) + " epochs", "2");
  hg::manual_seed(lab.options.seed);
  auto net = convolutional_network<float>();
  train_digits(lab, net, data, recipe);

  lab.section("3  What it takes for what", "4");
  report_digits(lab, net, data);
  lab.figures.weights("digits", net.state_dict());

  lab.section("4  What the filters look for, and what they find");
  draw_filters(lab, net);
  draw_activations(lab, net, data.x_test.rows(0, 1));
}
