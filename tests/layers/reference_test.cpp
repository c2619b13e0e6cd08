// Every layer against PyTorch: values, gradients and buffers, for the shapes and extreme inputs of
// reference/layers.json; and the contract of accumulation on the same numbers.
#include <cmath>
#include <limits>
#include <string>

#include "handgrad/base/random.hpp"
#include "handgrad/layers/activations.hpp"
#include "handgrad/layers/dropout.hpp"
#include "handgrad/layers/layer_norm.hpp"
#include "handgrad/layers/linear.hpp"
#include "handgrad/layers/softmax.hpp"
#include "support/check.hpp"
#include "support/factory.hpp"
#include "support/reference.hpp"
#include "support/typed.hpp"

using namespace handgrad;
using handgrad::test::check_close;
using handgrad::test::layer_cases;
using handgrad::test::make_layer;
using handgrad::test::Reference;

namespace {

constexpr double not_a_number = std::numeric_limits<double>::quiet_NaN();

/// Fills a layer's buffer with NaN, so that an element not rewritten shows. Drops the handle, so that the layer keeps
/// the buffer.
template <class T>
void poison(const Tensor<T>& buffer) {
  Tensor<T> handle = buffer;
  handle.fill(static_cast<T>(not_a_number));
}

template <class T>
void check_gradients_are(const Layer<T>& layer, const Reference& expected, double factor, double tolerance,
                         const std::string& where) {
  BOOST_TEST(layer.named_parameters().size() == expected.size(), where);
  for (const auto& [name, parameter] : layer.named_parameters()) {
    Tensor<double> gradient = expected[name.c_str()].template tensor<double>();
    for (double* g = gradient.data(); g != gradient.data() + gradient.numel(); ++g) *g *= factor;
    check_close(parameter.grad(), gradient, tolerance,
                where + " " + std::to_string(int(factor)) + " × gradient of " + name);
  }
}

template <class T>
void check_step(Layer<T>& layer, const Reference& step, Device device, double tolerance) {
  const std::string where = step.where();
  const Tensor<T> x = step["x"].tensor<T>().to(device), dy = step["dy"].tensor<T>().to(device);
  const Tensor<double> y = step["y"].tensor<double>(), dx = step["dx"].tensor<double>();

  layer.zero_grad();
  check_close(layer.forward(x), y, tolerance, where + " y");
  check_close(layer.backward(dy), dx, tolerance, where + " dx");
  check_gradients_are(layer, step["grads"], 1, tolerance, where);
  const auto check_buffers = [&](const auto& buffers) {
    for (const auto& [name, buffer] : buffers)
      check_close(buffer.value().reshape(step["buffers"][name.c_str()].template tensor<double>().shape()),
                  step["buffers"][name.c_str()].template tensor<double>(), tolerance, where + " " + name);
  };
  if (step.contains("buffers")) check_buffers(layer.named_buffers()), check_buffers(layer.named_counters());

  // A second backward: dx is overwritten, gradients accumulate.
  poison(layer.backward(dy));
  check_close(layer.backward(dy), dx, tolerance, where + " dx again");
  check_gradients_are(layer, step["grads"], 3, 3 * tolerance, where);

  // After zero_grad() the first write overwrites everything, including reused buffers.
  for (auto& [name, parameter] : layer.named_parameters()) poison(parameter.grad());
  layer.zero_grad();
  if (layer.named_buffers().empty()) {
    poison(layer.forward(x));
    check_close(layer.forward(x), y, tolerance, where + " y again");
  }
  layer.backward(dy);
  check_gradients_are(layer, step["grads"], 1, tolerance, where + " after zero_grad()");
}

}  // namespace

HANDGRAD_TEST_EVERYWHERE(layers_agree_with_torch) {
  using T = typename Place::T;
  std::size_t checked = 0;
  for (const Reference& reference : layer_cases()) {
    const auto layer = make_layer<T>(reference, Place::device());
    BOOST_TEST_CONTEXT(reference["layer"].text() << " " << reference["args"].where()) {
      for (const Reference step : reference["steps"]) {
        layer->train(step.flag("train", reference["args"].flag("train", true)));
        check_step(*layer, step, Place::device(), Place::tolerance);
        ++checked;
      }
    }
  }
  BOOST_TEST(checked > 100u);
}

HANDGRAD_TEST_EVERYWHERE(without_an_input_gradient_the_others_are_the_same) {
  using T = typename Place::T;
  for (const Reference& reference : layer_cases()) {
    const auto layer = make_layer<T>(reference, Place::device());
    if (layer->parameters().empty()) continue;
    const Reference step = reference["steps"][0];
    layer->requires_input_grad(false);
    layer->zero_grad();
    layer->forward(step["x"].tensor<T>().to(Place::device()));
    BOOST_TEST(!layer->backward(step["dy"].tensor<T>().to(Place::device())).defined());
    check_gradients_are(*layer, step["grads"], 1, Place::tolerance, step.where());
  }
}

HANDGRAD_TEST_EVERYWHERE(nan_never_passes_unseen) {
  using T = typename Place::T;
  for (const Reference& reference : layer_cases()) {
    if (reference["layer"].text().starts_with("Dropout")) continue;  // p = 1 leaves nothing of x
    const Reference args = reference["args"];
    if (args.contains("padding") || args.contains("stride")) continue;  // an output may not depend on x
    const auto layer = make_layer<T>(reference, Place::device());
    Tensor<T> x = reference["steps"][0]["x"].tensor<T>().to(Place::device());
    x.fill(static_cast<T>(not_a_number));
    for (const T y : layer->forward(x).to_vector()) BOOST_TEST(std::isnan(y), reference.where());
  }
}

// In more or fewer dimensions than PyTorch's values above: the same numbers in another shape.
HANDGRAD_TEST_EVERYWHERE(a_tensor_of_any_rank_is_rows) {
  using T = typename Place::T;
  Generator generator(5);
  const auto same = [&](Layer<T>& layer, const Shape& shape, Layer<T>& other, const Shape& as) {
    BOOST_TEST_CONTEXT(layer.label() << " of " << shape.str()) {
      layer.to(Place::device());
      other.to(Place::device());
      const Tensor<T> x = randn<T>(shape, generator).to(Place::device());
      const Tensor<T> y = layer.forward(x).clone();
      const Tensor<T> dy = randn<T>(y.shape(), generator).to(Place::device());
      BOOST_TEST((y == other.forward(x.reshape(as)).reshape(y.shape())));
      layer.forward(x);  // again: the other may be the same one
      layer.zero_grad();
      const Tensor<T> dx = layer.backward(dy).clone();
      std::vector<Tensor<T>> gradients;
      for (const auto& parameter : layer.parameters()) gradients.push_back(parameter.grad().clone());
      other.zero_grad();
      const Tensor<T> y_as = other.forward(x.reshape(as));
      BOOST_TEST((dx.reshape(as) == other.backward(dy.reshape(y_as.shape()))));
      const auto parameters = other.parameters();
      for (std::size_t i = 0; i < gradients.size(); ++i) BOOST_TEST((parameters[i].grad() == gradients[i]));
    }
  };
  const auto itself = [&](Layer<T>& layer, const Shape& shape, const Shape& as) { same(layer, shape, layer, as); };
  Linear<T> linear(5, 4);
  itself(linear, {2, 1, 3, 5}, {6, 5});
  itself(linear, {5}, {1, 5});
  LayerNorm<T> norm(5), two(Shape{3, 5});
  itself(norm, {2, 1, 3, 5}, {6, 5});
  itself(norm, {5}, {1, 5});
  itself(two, {2, 2, 3, 5}, {4, 3, 5});
  itself(two, {3, 5}, {1, 3, 5});
  Sigmoid<T> sigmoid;
  ELU<T> elu;
  GELU<T> gelu;
  for (Layer<T>* layer :
       {static_cast<Layer<T>*>(&sigmoid), static_cast<Layer<T>*>(&elu), static_cast<Layer<T>*>(&gelu)}) {
    itself(*layer, {2, 1, 3, 5}, {30});
    itself(*layer, {}, {1});
  }
  Dropout<T> dropout(0.5);
  dropout.forward(ones<T>({1}).to(Place::device()));
  dropout.repeat_random(true);
  itself(dropout, {2, 1, 3, 5}, {6, 5});
  Softmax<T> last(3), third(2), second(1), middle(1), first(-4), column(0);
  LogSoftmax<T> log_third(2), log_middle(1);
  same(last, {2, 1, 3, 5}, middle, {6, 5});
  same(third, {2, 3, 5, 2}, middle, {6, 5, 2});
  same(second, {2, 3, 5, 2}, middle, {2, 3, 10});
  same(first, {2, 3, 5, 2}, column, {2, 30});
  same(log_third, {2, 3, 5, 2}, log_middle, {6, 5, 2});
  same(log_middle, {2, 3, 5, 2}, log_middle, {2, 3, 10});
}
