#include "common/digit_images.hpp"

#include <algorithm>
#include <iomanip>
#include <iostream>
#include <optional>

#include "common/made_data.hpp"
#include "common/plot.hpp"
#include "handgrad/base/xtensor.hpp"
#include "handgrad/data/idx.hpp"

namespace handgrad::labs {

namespace {

/// The path of an IDX file, gzipped or not.
std::optional<std::string> find(const Lab& lab, const std::string& name) {
  const auto zipped = lab.data("mnist/" + name + ".gz");
  return zipped ? zipped : lab.data("mnist/" + name);
}

Tensor<float> scaled(const Tensor<float>& images) {
  if (images.rank() != 3 || images.size(1) != Digits::side || images.size(2) != Digits::side)
    throw ShapeError("digits: images of shape (N, 28, 28) expected, not " + images.shape().str());
  const Tensor<float> x = images.xt() / 255.0f;
  return x.reshape({images.size(0), Digits::pixels});
}

}  // namespace

Digits read_digits(const Lab& lab) {
  const auto train_images = find(lab, "train-images-idx3-ubyte"), train_labels = find(lab, "train-labels-idx1-ubyte");
  const auto test_images = find(lab, "t10k-images-idx3-ubyte"), test_labels = find(lab, "t10k-labels-idx1-ubyte");
  Digits data;
  if (train_images && train_labels && test_images && test_labels) {
    std::cout << "MNIST as it is: its training and its test images.\n";
    data = {scaled(read_idx(*train_images)), read_idx(*train_labels), scaled(read_idx(*test_images)),
            read_idx(*test_labels)};
  } else {
    Tensor<float> images, labels;
    std::size_t train = 8000;
    if (test_images && test_labels) {
      std::cout << "MNIST's 10,000 test images: the first 8,000 to train, the rest to test.\n";
      images = read_idx(*test_images);
      labels = read_idx(*test_labels);
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

std::vector<long> largest(const Tensor<float>& logits) {
  const std::size_t columns = logits.size(1);
  std::vector<long> classes;
  for (std::size_t i = 0; i < logits.size(0); ++i) {
    const float* row = logits.data() + i * columns;
    classes.push_back(std::max_element(row, row + columns) - row);
  }
  return classes;
}

void print_confusion(const ConfusionMatrix& matrix) {
  std::cout << "\nRows: the digit; columns: what it was taken for.\n\n    ";
  for (const long label : matrix.labels) std::cout << std::setw(5) << label;
  std::cout << '\n';
  for (std::size_t i = 0; i < matrix.labels.size(); ++i) {
    std::cout << std::setw(4) << matrix.labels[i];
    for (const std::size_t count : matrix.counts[i]) std::cout << std::setw(5) << (count ? std::to_string(count) : ".");
    std::cout << '\n';
  }
}

void draw_mistakes(const Lab& lab, const Digits& data, const std::vector<long>& predicted) {
  std::vector<std::size_t> shown;
  for (const bool wrong : {true, false})
    for (std::size_t i = 0; i < predicted.size() && shown.size() < (wrong ? 8u : 12u); ++i)
      if ((predicted[i] != static_cast<long>(data.y_test.item(i))) == wrong) shown.push_back(i);
  const auto axis = linspace<double>(0, Digits::side - 1, Digits::side);
  std::vector<Plot> plots;
  for (const std::size_t i : shown) {
    std::vector<double> image;  // gnuplot's first row is at the bottom
    for (std::size_t row = Digits::side; row-- > 0;)
      for (std::size_t column = 0; column < Digits::side; ++column)
        image.push_back(data.x_test.data()[i * Digits::pixels + row * Digits::side + column]);
    const long is = static_cast<long>(data.y_test.item(i));
    plots.push_back(Plot(std::to_string(is) + ", read as " + std::to_string(predicted[i])));
    plots.back().surface(axis, axis, image, "", Plot::Scale::Sequential);
    if (is != predicted[i]) plots.back().frame();
  }
  draw(lab, "digits", plots, 4);
}

}  // namespace handgrad::labs
