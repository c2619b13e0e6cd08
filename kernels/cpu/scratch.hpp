#pragma once
#include <cstddef>

namespace handgrad::kernels::cpu {

/// Room for n numbers of T in this thread's own memory, valid until the thread's next call.
void* scratch_bytes(std::size_t bytes);

template <class T>
T* scratch(std::size_t n) {
  return static_cast<T*>(scratch_bytes(n * sizeof(T)));
}

}  // namespace handgrad::kernels::cpu
