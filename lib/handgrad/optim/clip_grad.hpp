#pragma once
#include <vector>

#include "handgrad/contract/parameter.hpp"

namespace handgrad {

/// As torch.nn.utils.clip_grad_norm_: with ‖g‖ the norm of all gradients as one vector, each gradient is multiplied by
/// max_norm/(‖g‖ + 1e-6) if that is below 1. Returns ‖g‖ (shape ()), on the gradients' device without waiting for it.
/// norm_type is p ≥ 1 of ‖g‖ₚ = (Σ|gᵢ|ᵖ)^(1/p), or infinity. Parameters without a gradient are skipped. Throws
/// ValueError for a negative max_norm or norm_type < 1, DeviceError for gradients on several devices.
/// several devices.
template <class T>
Tensor<T> clip_grad_norm_(const std::vector<Parameter<T>>& parameters, double max_norm, double norm_type = 2);
/// The same into a `norm` kept by the caller, so that a step allocates nothing.
template <class T>
void clip_grad_norm_(const std::vector<Parameter<T>>& parameters, double max_norm, double norm_type, Tensor<T>& norm);

/// As torch.nn.utils.clip_grad_value_: each element of each gradient is clipped to [−clip_value, clip_value]. Throws
/// ValueError for a negative clip_value, DeviceError for gradients on several devices.
template <class T>
void clip_grad_value_(const std::vector<Parameter<T>>& parameters, double clip_value);

}  // namespace handgrad
