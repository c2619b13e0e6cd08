#pragma once
// What the exercises about convolutions and pooling share.
#include "exercises/engine/check.hpp"
#include "handgrad/layers/convolution.hpp"

namespace handgrad::exercises {

/// One image of one channel, the form in which the library and its diagnosis know images; and back.
inline Tensor<double> image(const Matrix& m) {
  return tensor(m).reshape({1, 1, static_cast<std::size_t>(m.rows()), static_cast<std::size_t>(m.cols())});
}
inline Matrix of_image(const Tensor<double>& t) { return matrix(t.reshape({t.size(2), t.size(3)})); }

/// The right forward, yᵢⱼ = Σ wᵤᵥ·xᵢₛ₊ᵤ₋ₚ,ⱼₛ₊ᵥ₋ₚ, by the library's layer: not by the loops that the exercises ask for.
inline Matrix correlated(const Matrix& x, const Matrix& w, int s = 1, int p = 0) {
  const auto size = [](int n) { return static_cast<std::size_t>(n); };
  Conv2d<double> layer(1, 1, {size(w.rows()), size(w.cols())}, {.stride = size(s), .padding = size(p), .bias = false});
  layer.weight.value().copy_from(image(w));
  return of_image(layer.forward(image(x)));
}

/// Sizes of x and of w for paper, the smallest first.
inline constexpr int correlation_sizes[][4] = {{1, 1, 1, 1}, {2, 2, 1, 1}, {2, 2, 2, 2}, {2, 3, 1, 2}, {3, 3, 2, 2}};

}  // namespace handgrad::exercises
