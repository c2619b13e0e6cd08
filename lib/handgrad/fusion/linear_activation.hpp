#pragma once
#include "handgrad/fusion/pattern.hpp"

namespace handgrad {

template <class T>
class ActivationLayer;

namespace fusion {

/// Forward through a Linear and an activation whose derivative needs only its output: z = x·Wᵀ + b and y = f(z) in one
/// pass. z is never stored; both layers keep y, which is all that their backwards need: δ∘f′(y), and products with δ.
template <class T>
Pattern<T> linear_activation();

/// The layer as one of the library's activation functions, or null.
template <class T>
ActivationLayer<T>* activation(Layer<T>& layer);

/// Whether the layer is one of these whose derivative needs only its output: then z need not be kept.
template <class T>
bool needs_only_output(Layer<T>& layer);

}  // namespace fusion
}  // namespace handgrad
