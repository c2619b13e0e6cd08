#pragma once
#include <concepts>

#include "handgrad/containers/branches.hpp"
#include "handgrad/containers/tie.hpp"

namespace handgrad {

/// y = fₙ(… f₂(f₁(x))): n layers of the same construction, one after the other.
///
///     Repeat(3, [] { return Residual{Linear(16, 16), ReLU()}; })              // three layers, each with its weights
///     Repeat(3, [] { return Sequential{Linear(4, 4), Tanh()}; }).shared()     // one layer's weights, three times
///
/// Shared weights θ are used n times, and L depends on them along every use: dθ = Σᵢ (∂fᵢ/∂θ)ᵀ·δᵢ, which the
/// accumulation of gradients computes. There are still n layers, since each keeps its own x for the backward.
///
/// Names are those of a Sequential (`0.weight`, `1.weight`); for shared ones see `tie`.
template <class T = float>
class Repeat : public Sequential<T> {
 public:
  /// `make` is called n times.
  template <std::invocable Make>
  Repeat(std::size_t n, Make&& make) {
    for (std::size_t i = 0; i < n; ++i) this->push_back(detail::as_one<T>(make()));
  }
  /// Ties the parameters of all layers to those of the first. Each layer keeps its own buffers (running statistics).
  Repeat&& shared() && {
    for (std::size_t i = 1; i < this->size(); ++i) tie((*this)[i], (*this)[0]);
    return std::move(*this);
  }
};

template <std::invocable Make>
Repeat(std::size_t, Make&&) -> Repeat<typename std::invoke_result_t<Make>::value_type>;

}  // namespace handgrad
