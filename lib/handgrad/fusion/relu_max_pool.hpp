#pragma once
#include "handgrad/fusion/pattern.hpp"

namespace handgrad::fusion {

/// Backward through max pooling over disjoint 2×2 windows and the ReLU below. Outside the maxima δ is 0, and at a
/// maximum the ReLU's y is the pooling's: so f′ is taken of the few pooled elements, and what is spread is dz already:
///     dz = spread(δ∘f′(y)) = spread(δ)∘f′(y′),  y′ the ReLU's output
template <class T>
Pattern<T> relu_max_pool();

}  // namespace handgrad::fusion
