#pragma once
#include <string>

#include "handgrad/contract/layer.hpp"
#include "handgrad/contract/loss.hpp"

namespace handgrad::detail {

/// For a loss of the batch (x, y) that has just come out infinite or NaN, before its backward: the first tensor that
/// went bad, in words. "the gradient of 2.weight, of Linear(16 → 1), in the step before". The gradients of the step
/// before are there still; the forward is made a second time, layer by layer.
template <class T>
std::string first_not_finite(Layer<T>& net, Loss<T>& loss, const Tensor<T>& x, const Tensor<T>& y);

}  // namespace handgrad::detail
