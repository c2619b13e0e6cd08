// Beyond the notebooks: handwritten digits, 784-256-128-10 with softmax and cross-entropy. README.md beside this file
// derives the backward pass.
#include <handgrad/handgrad.hpp>
#include <string>

#include "common/digit_training.hpp"
#include "common/lab.hpp"

namespace hg = handgrad;
using namespace handgrad::labs;

namespace {

hg::Sequential<float> model() {
  return hg::Sequential{
      hg::Linear(Digits::pixels, 256), hg::ReLU(), hg::Dropout(0.2), hg::Linear(256, 128), hg::ReLU(), hg::Dropout(0.2),
      hg::Linear(128, Digits::classes)};
}

}  // namespace

HANDGRAD_LAB(mnist, "", "handwritten digits: a softmax over ten classes") {
  lab.section("1  The digits");
  const Digits data = read_digits(lab);
  const DigitRecipe recipe{.lr = 1e-3, .batch_size = 128, .epochs = lab.options.quick ? 8 : 25};

  lab.section("2  784-256-128-10, cross-entropy, AdamW, batches of 128, " + std::to_string(recipe.epochs) + " epochs");
  hg::manual_seed(lab.options.seed);
  auto net = model();
  train_digits(lab, net, data, recipe);

  lab.section("3  What it takes for what");
  report_digits(lab, net, data);
  lab.figures.weights("mnist", net.state_dict());
}
