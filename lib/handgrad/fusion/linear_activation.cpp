#include "handgrad/fusion/linear_activation.hpp"

#include "handgrad/base/backend.hpp"
#include "handgrad/base/views.hpp"
#include "handgrad/fusion/access.hpp"
#include "handgrad/layers/activations.hpp"
#include "handgrad/layers/linear.hpp"

namespace handgrad::fusion {

namespace {

template <class... L, class T>
ActivationLayer<T>* one_of(Layer<T>& layer) {
  return ((exactly<L>(layer) != nullptr) || ...) ? static_cast<ActivationLayer<T>*>(&layer) : nullptr;
}

template <class T>
std::size_t match(Layers<T> layers) {
  return layers.size() >= 2 && exactly<Linear<T>>(*layers[0]) && needs_only_output(*layers[1]) ? 2 : 0;
}

template <class T>
const Tensor<T>& forward(Layers<T> layers, const Tensor<T>& x) {
  auto& linear = static_cast<Linear<T>&>(*layers[0]);
  const formulas::Activation f = static_cast<ActivationLayer<T>&>(*layers[1]).formula();
  Access<T> first(*layers[0]), second(*layers[1]);
  second.y = second.note.y = Tensor<T>();  // these handles would prevent reuse of the buffer
  first.accept(x);
  auto& k = backend<T>(x.device()).linear;
  // What f′ needs may be noted here for the product of a following Linear.
  const std::size_t noted =
      linear.is_training() ? k.mask_size(f, first.y.shape().rows(), first.y.shape().columns()) : 0;
  const bool note = noted > 0 && layers.size() > 2 && exactly<Linear<T>>(*layers[2]);
  if (note) second.note.content.reserve({noted}, x.device());
  try {
    if (k.forward(view::matrix(x), view::matrix(linear.weight), view::vector(linear.bias), &f, view::matrix(first.y),
                  note ? second.note.content.data() : nullptr))
      second.note.y = first.y;
  } catch (...) {
    first.x = Tensor<T>();
    throw;
  }
  second.x = second.y = first.y;
  return second.y;
}

}  // namespace

template <class T>
ActivationLayer<T>* activation(Layer<T>& layer) {
  return one_of<Identity<T>, Threshold<T>, Sigmoid<T>, Tanh<T>, ReLU<T>, LeakyReLU<T>, ELU<T>, GELU<T>, SiLU<T>,
                Softplus<T>, Hardtanh<T>, Hardsigmoid<T>, Hardswish<T>, LogSigmoid<T>, Softsign<T>, Mish<T>>(layer);
}

template <class T>
bool needs_only_output(Layer<T>& layer) {
  const ActivationLayer<T>* f = activation(layer);
  return f && std::visit([](const auto& formula) { return formula.from_output; }, f->formula());
}

template <class T>
Pattern<T> linear_activation() {
  return {.name = "Linear, activation", .match_forward = match<T>, .forward = forward<T>};
}

template ActivationLayer<float>* activation(Layer<float>&);
template ActivationLayer<double>* activation(Layer<double>&);
template bool needs_only_output(Layer<float>&);
template bool needs_only_output(Layer<double>&);
template Pattern<float> linear_activation();
template Pattern<double> linear_activation();

}  // namespace handgrad::fusion
