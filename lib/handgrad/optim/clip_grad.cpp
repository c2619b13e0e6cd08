#include "handgrad/optim/clip_grad.hpp"

#include "handgrad/base/backend.hpp"
#include "handgrad/base/errors.hpp"
#include "handgrad/base/format.hpp"
#include "handgrad/base/views.hpp"

namespace handgrad {

namespace {

// The existing gradients and their device (the CPU if there are none); the list is reused from call to call.
template <class T>
std::span<const kernels::Vector<T>> gradients(const std::vector<Parameter<T>>& parameters, const char* function,
                                              Device& device) {
  thread_local std::vector<kernels::Vector<T>> grads;
  grads.clear();
  for (Parameter<T> parameter : parameters) {
    if (!parameter.has_grad()) continue;
    Tensor<T>& grad = parameter.accumulate().first;
    if (grads.empty()) device = grad.device();
    if (grad.device() != device)
      throw DeviceError(std::string(function) + ": gradients on " + device.str() + " and on " + grad.device().str() +
                        "; they are clipped together on one device");
    grads.push_back(view::vector(grad));
  }
  return grads;
}

}  // namespace

template <class T>
void clip_grad_norm_(const std::vector<Parameter<T>>& parameters, double max_norm, double norm_type, Tensor<T>& norm) {
  if (!(max_norm >= 0)) throw ValueError("clip_grad_norm_: max_norm = " + format_number(max_norm) + ", ≥ 0 expected");
  if (!(norm_type >= 1))
    throw ValueError("clip_grad_norm_: norm_type = " + format_number(norm_type) + ", 1 or more, or infinity expected");
  Device device;
  const auto grads = gradients(parameters, "clip_grad_norm_", device);
  norm.reserve({}, device);
  if (grads.empty())
    norm.fill(T(0));
  else
    backend<T>(device).optimizers.clip_norm(grads, static_cast<T>(max_norm), norm_type, norm.data());
}

template <class T>
Tensor<T> clip_grad_norm_(const std::vector<Parameter<T>>& parameters, double max_norm, double norm_type) {
  Tensor<T> norm;
  clip_grad_norm_(parameters, max_norm, norm_type, norm);
  return norm;
}

template <class T>
void clip_grad_value_(const std::vector<Parameter<T>>& parameters, double clip_value) {
  if (!(clip_value >= 0))
    throw ValueError("clip_grad_value_: clip_value = " + format_number(clip_value) + ", ≥ 0 expected");
  Device device;
  const auto grads = gradients(parameters, "clip_grad_value_", device);
  if (!grads.empty()) backend<T>(device).optimizers.clip_value(grads, static_cast<T>(clip_value));
}

#define HANDGRAD_INSTANTIATE(T)                                                                \
  template Tensor<T> clip_grad_norm_(const std::vector<Parameter<T>>&, double, double);        \
  template void clip_grad_norm_(const std::vector<Parameter<T>>&, double, double, Tensor<T>&); \
  template void clip_grad_value_(const std::vector<Parameter<T>>&, double);
HANDGRAD_INSTANTIATE(float)
HANDGRAD_INSTANTIATE(double)
#undef HANDGRAD_INSTANTIATE

}  // namespace handgrad
