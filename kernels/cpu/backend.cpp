#include "kernels/cpu/backend.hpp"

namespace handgrad::kernels {

template <class T>
Backend<T>& cpu_backend() {
  static auto* backend = new cpu::CpuBackend<T>;  // never destroyed: it may be needed by what static objects do last
  return *backend;
}

template Backend<float>& cpu_backend<float>();
template Backend<double>& cpu_backend<double>();

}  // namespace handgrad::kernels
