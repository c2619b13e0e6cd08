#pragma once
#include "handgrad/fusion/pattern.hpp"

namespace handgrad::fusion {

/// Backward down a chain of Linears with activations between them. The product of a Linear with its δ gives, in one
/// operation, the δ of the Linear before it and the gradient of that one's bias:
///     dW = δᵀ·x,   δ′ = (δ·W) ∘ f′(z′),   db′ = Σₙ δ′
template <class T>
Pattern<T> linear_activation_linear();

}  // namespace handgrad::fusion
