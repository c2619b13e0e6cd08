#pragma once
#include "handgrad/fusion/pattern.hpp"

namespace handgrad::fusion {

/// Forward through a convolution and an activation whose derivative needs only its output: y = f(W ⋆ x + b) in one
/// pass. As in linear_activation.hpp, the output without f is never stored, and both layers keep y.
template <class T>
Pattern<T> convolution_activation();

}  // namespace handgrad::fusion
