// Every layer's backward against differences of its forward, in double, on the shapes of reference/layers.json (one
// row, odd, not square, vectors, rank 3); and networks with their losses.
#include <boost/test/unit_test.hpp>
#include <string>

#include "handgrad/base/random.hpp"
#include "handgrad/check/testing.hpp"
#include "handgrad/containers/sequential.hpp"
#include "handgrad/layers/activations.hpp"
#include "handgrad/layers/linear.hpp"
#include "handgrad/layers/neuron.hpp"
#include "handgrad/layers/softmax.hpp"
#include "handgrad/losses/bce.hpp"
#include "handgrad/losses/cross_entropy.hpp"
#include "handgrad/losses/mse.hpp"
#include "support/factory.hpp"
#include "support/reference.hpp"
#include "support/typed.hpp"

using namespace handgrad;
using handgrad::test::layer_cases;
using handgrad::test::make_layer;
using handgrad::test::Reference;

namespace {

/// Saturated on purpose, for the comparison with PyTorch: differences see nothing there.
bool extreme(const Tensor<double>& x) {
  for (double v : x.to_vector())
    if (std::abs(v) > 30) return true;
  return false;
}

/// The gradient is zero everywhere: a step, a softmax over one element, a normalisation of one element.
bool is_flat(const Tensor<double>& dx) {
  for (double v : dx.to_vector())
    if (std::abs(v) > 1e-9) return false;
  return true;
}

}  // namespace

HANDGRAD_TEST_EVERYWHERE_IN_DOUBLE(every_layer) {
  std::size_t passed = 0;
  for (const Reference& reference : layer_cases()) {
    const auto layer = make_layer<double>(reference, Place::device());
    for (const Reference step : reference["steps"]) {
      const Tensor<double> x = step["x"].tensor<double>();
      if (extreme(x)) continue;
      layer->train(step.flag("train", reference["args"].flag("train", true)));
      const bool flat = is_flat(step["dx"].tensor<double>());
      const GradientReport report = check_gradients(*layer, x.to(Place::device()));
      BOOST_TEST(report.tolerance == 1e-7);
      BOOST_TEST((report.verdict() == (flat ? Verdict::Inconclusive : Verdict::Pass)), report);
      passed += report.passed();
    }
  }
  BOOST_TEST(passed > 90u);
}

BOOST_AUTO_TEST_CASE(a_neuron) {
  manual_seed(1);
  Neuron<double> neuron(3);
  HANDGRAD_CHECK_GRADIENTS(neuron, randn<double>({5, 3}));
  HANDGRAD_CHECK_GRADIENTS(neuron, randn<double>({1, 3}));
  HANDGRAD_CHECK_GRADIENTS(neuron, randn<double>({3}));
}

BOOST_AUTO_TEST_CASE(a_layer_too_large_to_be_compared_entry_by_entry) {
  manual_seed(2);
  Linear<double> layer(53, 47);
  HANDGRAD_CHECK_GRADIENTS(layer, randn<double>({11, 53}));
}

HANDGRAD_TEST_EVERYWHERE_IN_DOUBLE(networks_with_their_loss) {
  const Device device = Place::device();
  manual_seed(3);
  Sequential net{Linear<double>(3, 7), Tanh<double>(), Linear<double>(7, 2)};
  net.to(device);
  MSELoss<double> mse;
  BCEWithLogitsLoss<double> bce;
  CrossEntropyLoss<double> cross_entropy(Reduction::Sum);
  for (const std::size_t rows : {1u, 5u}) {
    const Tensor<double> x = randn<double>({rows, 3}).to(device);
    HANDGRAD_CHECK_GRADIENTS(net, mse, x, randn<double>({rows, 2}).to(device));
    HANDGRAD_CHECK_GRADIENTS(net, bce, x, randint<double>(0, 2, {rows, 2}).to(device));
    HANDGRAD_CHECK_GRADIENTS(net, cross_entropy, x, randint<double>(0, 2, {rows}).to(device));
  }
}

BOOST_AUTO_TEST_CASE(a_deep_nested_network_with_every_kind_of_activation) {
  manual_seed(4);
  Sequential net{Linear<double>(5, 11),
                 ReLU<double>(),
                 Linear<double>(11, 7),
                 Sequential{GELU<double>(), Linear<double>(7, 7, false), ELU<double>(1.409), SiLU<double>()},
                 LeakyReLU<double>(0.2),
                 Linear<double>(7, 3),
                 Softplus<double>(),
                 Linear<double>(3, 3),
                 LogSoftmax<double>()};
  NLLLoss<double> loss;
  HANDGRAD_CHECK_GRADIENTS(net, loss, randn<double>({7, 5}), randint<double>(0, 3, {7}));
}
