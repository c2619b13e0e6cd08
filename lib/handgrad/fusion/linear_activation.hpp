#pragma once
#include "handgrad/fusion/pattern.hpp"

namespace handgrad {

template <class T>
class ActivationLayer;

namespace fusion {

/// Forward through a Linear and an activation whose derivative needs its output only: z = x·Wᵀ + b and y = f(z) in one
/// pass. z is never stored; both layers keep y, which is all that their backward needs: δ∘f′(y), and products with δ.
template <class T>
Pattern<T> linear_activation();

/// The layer as an activation function of the library, or null.
template <class T>
ActivationLayer<T>* activation(Layer<T>& layer);

}  // namespace fusion
}  // namespace handgrad
