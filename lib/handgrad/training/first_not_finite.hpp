#pragma once
#include <string>

#include "handgrad/contract/layer.hpp"
#include "handgrad/contract/loss.hpp"

namespace handgrad::detail {

/// For a batch (x, t) whose loss has just come out infinite or NaN, before its backward: names the first tensor that is
/// not finite, "the gradient of 2.weight, of Linear(16 → 1), in the step before". The previous step's gradients are
/// still there; the forward is repeated layer by layer.
template <class T>
std::string first_not_finite(Layer<T>& net, Loss<T>& loss, const Tensor<T>& x, const Tensor<T>& t);

}  // namespace handgrad::detail
