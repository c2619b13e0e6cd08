#pragma once
#include "handgrad/fusion/pattern.hpp"

namespace handgrad::fusion {

/// Backward down a chain of Linears with activations in between. One operation multiplies a Linear's δ by its W and
/// yields the δ and the bias gradient of the Linear before it:
///     dW = δᵀ·x,   δ′ = (δ·W) ∘ f′(z′),   db′ = Σₙ δ′
template <class T>
Pattern<T> linear_activation_linear();

}  // namespace handgrad::fusion
