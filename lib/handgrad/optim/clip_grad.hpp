#pragma once
#include <vector>

#include "handgrad/contract/parameter.hpp"

namespace handgrad {

/// As torch.nn.utils.clip_grad_norm_: with ‖g‖ the norm of all gradients taken as one vector, each gradient is
/// multiplied by max_norm/(‖g‖ + 1e-6) where that is below 1. Returns ‖g‖ (shape ()), on the gradients' device: nothing
/// waits for it until its `item()`. norm_type is p ≥ 1 of ‖g‖ₚ = (Σ|gᵢ|ᵖ)^(1/p), or infinity. Parameters without a
/// gradient are passed over. Throws ValueError for a negative max_norm or norm_type < 1, DeviceError for gradients on
/// several devices.
template <class T>
Tensor<T> clip_grad_norm_(const std::vector<Parameter<T>>& parameters, double max_norm, double norm_type = 2);
/// The same into a `norm` that the caller keeps, so that a step allocates nothing.
template <class T>
void clip_grad_norm_(const std::vector<Parameter<T>>& parameters, double max_norm, double norm_type, Tensor<T>& norm);

/// As torch.nn.utils.clip_grad_value_: each element of each gradient is held to [−clip_value, clip_value]. Throws
/// ValueError for a negative clip_value, DeviceError for gradients on several devices.
template <class T>
void clip_grad_value_(const std::vector<Parameter<T>>& parameters, double clip_value);

}  // namespace handgrad
