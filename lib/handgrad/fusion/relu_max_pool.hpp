#pragma once
#include "handgrad/fusion/pattern.hpp"

namespace handgrad::fusion {

/// Backward through max pooling over disjoint 2×2 windows and the ReLU below it:
///     z  (N, C, H, W)      y′ = max(z, 0)
///     y  (N, C, H/2, W/2)  the maximum of each window of y′, δ = ∂L/∂y
///     dz (N, C, H, W)      = spread(δ)∘f′(y′) = spread(δ∘f′(y))
/// Outside the maxima δ is 0, and at a maximum y′ is y: f′ is taken of the few pooled elements, and what is spread is
/// dz already.
template <class T>
Pattern<T> relu_max_pool();

}  // namespace handgrad::fusion
