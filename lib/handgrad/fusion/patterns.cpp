#include "handgrad/fusion/convolution_activation.hpp"
#include "handgrad/fusion/linear_activation.hpp"
#include "handgrad/fusion/linear_activation_linear.hpp"
#include "handgrad/fusion/relu_max_pool.hpp"

namespace handgrad::fusion {

template <class T>
std::span<const Pattern<T>> patterns() {
  static const Pattern<T> table[] = {
      linear_activation<T>(),         // forward:  y = f(x·Wᵀ + b)
      convolution_activation<T>(),    // forward:  y = f(W ⋆ x + b)
      linear_activation_linear<T>(),  // backward: dz = (δ·W)∘f′(z),  db = Σₙ dz
      relu_max_pool<T>(),             // backward: dz = spread(δ∘f′(y))
  };
  return table;
}

template std::span<const Pattern<float>> patterns();
template std::span<const Pattern<double>> patterns();

}  // namespace handgrad::fusion
