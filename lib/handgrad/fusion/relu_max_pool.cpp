#include "handgrad/fusion/relu_max_pool.hpp"

#include "handgrad/base/backend.hpp"
#include "handgrad/base/views.hpp"
#include "handgrad/fusion/access.hpp"
#include "handgrad/layers/activations.hpp"
#include "handgrad/layers/pooling.hpp"

namespace handgrad::fusion {

namespace {

template <class T>
bool pools_two_by_two(Layer<T>& layer) {
  const auto* pool = exactly<MaxPool2d<T>>(layer);
  return pool && pool->kernel_size() == Size2d(2) && pool->stride() == Size2d(2) &&
         pool->options().padding == Size2d(0) && pool->options().dilation == Size2d(1) && !pool->options().ceil_mode;
}

template <class T>
std::size_t match(Layers<T> layers) {
  const std::size_t n = layers.size();
  return n >= 2 && exactly<ReLU<T>>(*layers[n - 2]) && pools_two_by_two(*layers[n - 1]) ? 2 : 0;
}

template <class T>
Done<T> backward(Layers<T> layers, const Tensor<T>& dy) {
  auto& pool = static_cast<MaxPoolLayer<T>&>(*layers[1]);
  Access<T> relu(*layers[0]), top(pool);
  const bool ran_in_a_row = top.x.data() == relu.y.data() && top.x.shape() == relu.y.shape();
  if (!ran_in_a_row || !relu.wants_dx || !top.wants_dx) return {};
  top.accept_gradient(dy);
  const auto& k = backend<T>(dy.device());
  // δ∘f′(y), where the pooling's own dx would be
  top.dx.reserve(top.y.shape(), dy.device());
  k.activations.backward(formulas::ReLU(), view::vector(std::as_const(top.y)), view::vector(std::as_const(top.y)),
                         view::vector(dy), view::vector(top.dx));
  relu.dx.reserve(relu.x.shape(), dy.device());
  k.pooling.max_backward(pool.sizes(top.x.shape(), top.y.shape()), std::as_const(top.dx).data(), pool.places().data(),
                         relu.dx.data());
  return {&relu.dx, 2};
}

}  // namespace

template <class T>
Pattern<T> relu_max_pool() {
  return {.name = "ReLU, max pooling", .match_backward = match<T>, .backward = backward<T>};
}

template Pattern<float> relu_max_pool();
template Pattern<double> relu_max_pool();

}  // namespace handgrad::fusion
