#include "kernels/backend.hpp"

#include "kernels/cpu/cpu.hpp"

namespace handgrad::kernels {

template <class T>
const Backend<T>& cpu_backend() {
  static cpu::Cpu cpu;
  static auto* backend = new BackendOn<cpu::Cpu, T>(cpu);  // never destroyed: static objects may need it last
  return backend->operations();
}

template const Backend<float>& cpu_backend<float>();
template const Backend<double>& cpu_backend<double>();

}  // namespace handgrad::kernels
