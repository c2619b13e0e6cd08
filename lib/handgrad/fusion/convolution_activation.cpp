#include "handgrad/fusion/convolution_activation.hpp"

#include "handgrad/base/backend.hpp"
#include "handgrad/base/views.hpp"
#include "handgrad/fusion/access.hpp"
#include "handgrad/fusion/linear_activation.hpp"
#include "handgrad/layers/activations.hpp"
#include "handgrad/layers/convolution.hpp"

namespace handgrad::fusion {

namespace {

template <class T>
std::size_t match(Layers<T> layers) {
  if (layers.size() < 2 || !needs_only_output(*layers[1])) return 0;
  return exactly<Conv1d<T>>(*layers[0]) || exactly<Conv2d<T>>(*layers[0]) ? 2 : 0;
}

template <class T>
const Tensor<T>& forward(Layers<T> layers, const Tensor<T>& x) {
  auto& convolution = static_cast<ConvolutionLayer<T>&>(*layers[0]);
  const formulas::Activation f = static_cast<ActivationLayer<T>&>(*layers[1]).formula();
  Access<T> first(*layers[0]), second(*layers[1]);
  second.y = second.note.y = Tensor<T>();  // these handles would prevent reuse of the buffer
  first.accept(x);
  try {
    backend<T>(x.device())
        .convolution.forward(convolution.sizes(x.shape(), first.y.shape()), x.data(),
                             view::vector(convolution.weight).data, view::vector(convolution.bias).data, &f,
                             first.y.data());
  } catch (...) {
    first.x = Tensor<T>();
    throw;
  }
  second.x = second.y = first.y;
  return second.y;
}

}  // namespace

template <class T>
Pattern<T> convolution_activation() {
  return {.name = "Convolution, activation", .match_forward = match<T>, .forward = forward<T>};
}

template Pattern<float> convolution_activation();
template Pattern<double> convolution_activation();

}  // namespace handgrad::fusion
