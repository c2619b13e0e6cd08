// The lab `digits` makes PyTorch's run (reference/subject_digits.py): the loss of every epoch, in double, on drawn
// digits and, where HANDGRAD_DATA has them, on MNIST's. On these it must also learn what it should.
#include "digits/parts.hpp"

#include <algorithm>
#include <boost/test/unit_test.hpp>
#include <cstdint>
#include <cstdlib>
#include <filesystem>
#include <string>

#include "common/made_data.hpp"
#include "handgrad/base/xtensor.hpp"
#include "handgrad/data/idx.hpp"
#include "handgrad/metrics/classification.hpp"
#include "support/check.hpp"
#include "support/reference.hpp"

using namespace handgrad;
using namespace handgrad::labs;
using handgrad::test::check_close;
using handgrad::test::Reference;

namespace {

/// MNIST's 10,000 test images, scaled, and their classes; none without the files.
std::optional<Samples<float>> mnist() {
  const char* folder = std::getenv("HANDGRAD_DATA");
  const std::string place = std::string(folder ? folder : "") + "/mnist/t10k-";
  if (!folder || !std::filesystem::exists(place + "images-idx3-ubyte.gz")) {
    BOOST_TEST_MESSAGE("skipped: HANDGRAD_DATA names no folder with mnist/t10k-images-idx3-ubyte.gz");
    return {};
  }
  const Tensor<float> images = read_idx(place + "images-idx3-ubyte.gz");
  const Tensor<float> x = images.xt() / 255.0f;
  return Samples<float>{x.reshape({x.size(0), 1, Digits::side, Digits::side}),
                        read_idx(place + "labels-idx1-ubyte.gz")};
}

Tensor<double> in_double(const Tensor<float>& x) {
  const std::vector<float> numbers = x.to_vector();
  return Tensor<double>(x.shape(), std::vector<double>(numbers.begin(), numbers.end()));
}

void check_run(const Tensor<float>& x, const Tensor<float>& y, const Reference& losses, double tolerance) {
  manual_seed(0);
  auto net = convolutional_network<double>();
  DigitRecipe recipe = convolutional_recipe(true);
  recipe.epochs = static_cast<int>(losses.size());
  std::vector<double> found;
  for (const EpochResult& epoch : fit_digits(net, in_double(x), in_double(y), recipe).epochs)
    found.push_back(epoch.loss);
  check_close(found, losses.numbers(), tolerance, "loss of each epoch");
}

}  // namespace

BOOST_AUTO_TEST_CASE(drawn_digits_give_torchs_run) {
  const Reference made = Reference::file("digits")["made"];
  const Samples<float> digits = make_digits(320);
  std::uint64_t hash = 0xCBF29CE484222325;  // FNV-1a of the pixels as 64-bit numbers
  for (const float pixel : digits.x.to_vector())
    for (int byte = 0; byte < 8; ++byte)
      hash = (hash ^ (static_cast<std::uint64_t>(pixel) >> (8 * byte) & 255)) * 0x100000001B3;
  BOOST_TEST(hash == std::stoull(made["images"].text(), nullptr, 16));
  const Tensor<float> x = digits.x.xt() / 255.0f;
  check_run(x.reshape({320, 1, Digits::side, Digits::side}), digits.y, made["losses"], 1e-9);
}

BOOST_AUTO_TEST_CASE(mnist_gives_torchs_run) {
  if (const auto digits = mnist())
    check_run(digits->x.rows(0, 8000), digits->y.rows(0, 8000), Reference::file("digits")["mnist"]["losses"], 1e-5);
}

BOOST_AUTO_TEST_CASE(it_reads_985_of_1000_digits) {
  const auto digits = mnist();
  if (!digits) return;
  std::vector<double> accuracies;
  for (const std::uint64_t seed : {0, 1, 2, 3, 4}) {
    manual_seed(seed);
    auto net = convolutional_network<float>();
    fit_digits(net, digits->x.rows(0, 8000), digits->y.rows(0, 8000), convolutional_recipe(false));
    accuracies.push_back(accuracy_score(digits->y.rows(8000, 10000), predict(net, digits->x.rows(8000, 10000))));
    BOOST_TEST_MESSAGE("seed " << seed << ": " << accuracies.back());
  }
  std::sort(accuracies.begin(), accuracies.end());
  BOOST_TEST(accuracies[2] >= 0.985);
}
