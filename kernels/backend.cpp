#include "kernels/backend.hpp"

#include "handgrad/errors.hpp"

namespace handgrad {

bool cuda_available() { return false; }
std::string cuda_unavailable_reason() { return "handgrad was built without CUDA"; }
int device_count() { return 0; }

namespace kernels {

[[noreturn]] static void refuse(Device device) {
  throw DeviceError("device " + device.str() + " cannot be used: " + cuda_unavailable_reason());
}

Memory& memory(Device device) {
  if (!device.is_cpu()) refuse(device);
  return cpu_memory();
}

template <class T>
Backend<T>& backend(Device device) {
  if (!device.is_cpu()) refuse(device);
  return cpu_backend<T>();
}

template Backend<float>& backend<float>(Device);
template Backend<double>& backend<double>(Device);

}  // namespace kernels
}  // namespace handgrad
