#include <algorithm>
#include <cstring>
#include <new>

#include "kernels/cpu/backend.hpp"
#include "kernels/cpu/product.hpp"
#include "kernels/cpu/simd.hpp"

namespace handgrad::kernels {

namespace cpu {

template <class T>
void CpuBackend<T>::fill(Tensor<T>& y, T value) {
  std::fill_n(y.data(), y.numel(), value);
}

template <class T>
void CpuBackend<T>::scale(Tensor<T>& y, T a) {
  map(
      y.numel(), y.data(), [=](Batch<T> v) { return a * v; }, y.data());
}

template <class T>
void CpuBackend<T>::add(Tensor<T>& y, T a, const Tensor<T>& x) {
  axpy(y.numel(), a, x.data(), y.data());
}

template <class T>
void CpuBackend<T>::multiply_rows(Tensor<T>& y, const Tensor<T>& x) {
  const std::size_t rows = x.numel(), columns = y.numel() / rows;
  if (columns == 1) {
    map(
        rows, y.data(), [](Batch<T> a, Batch<T> b) { return a * b; }, y.data(), x.data());
    return;
  }
  for (std::size_t i = 0; i < rows; ++i) {
    const Batch<T> factor(x.data()[i]);
    map(
        columns, y.data() + i * columns, [=](Batch<T> v) { return factor * v; }, y.data() + i * columns);
  }
}

template <class T>
void CpuBackend<T>::gather_rows(const Tensor<T>& x, const Tensor<double>& rows, Tensor<T>& y) {
  const std::size_t columns = y.numel() / rows.numel();
  for (std::size_t i = 0; i < rows.numel(); ++i)
    std::copy_n(x.data() + static_cast<std::size_t>(rows.data()[i]) * columns, columns, y.data() + i * columns);
}

template <class T>
void CpuBackend<T>::sum_of_squares(const Tensor<T>& x, T a, Tensor<T>& value) {
  *value.data() = static_cast<T>(static_cast<double>(a) * sum<T>(
                                                              x.numel(), [](Batch<T> v) { return v * v; }, x.data()));
}

template <class T>
void CpuBackend<T>::matmul(const Tensor<T>& a, bool ta, const Tensor<T>& b, bool tb, T beta, Tensor<T>& c) {
  gemm(ta, tb, c.size(0), c.size(1), a.size(ta ? 0 : 1), a.data(), b.data(), beta, c.data());
}

#define HANDGRAD_INSTANTIATE(T)                                                                  \
  template void CpuBackend<T>::fill(Tensor<T>&, T);                                              \
  template void CpuBackend<T>::scale(Tensor<T>&, T);                                             \
  template void CpuBackend<T>::add(Tensor<T>&, T, const Tensor<T>&);                             \
  template void CpuBackend<T>::multiply_rows(Tensor<T>&, const Tensor<T>&);                      \
  template void CpuBackend<T>::gather_rows(const Tensor<T>&, const Tensor<double>&, Tensor<T>&); \
  template void CpuBackend<T>::sum_of_squares(const Tensor<T>&, T, Tensor<T>&);                  \
  template void CpuBackend<T>::matmul(const Tensor<T>&, bool, const Tensor<T>&, bool, T, Tensor<T>&);
HANDGRAD_INSTANTIATE(float)
HANDGRAD_INSTANTIATE(double)
#undef HANDGRAD_INSTANTIATE

namespace {

/// Host memory in whole cache lines, so that a SIMD batch does not straddle two.
class HostMemory final : public Memory {
 public:
  void* allocate(std::size_t bytes) override { return ::operator new(std::max<std::size_t>(bytes, 1), line); }
  void deallocate(void* address, std::size_t) noexcept override { ::operator delete(address, line); }
  // memmove: x.rows(1, 3).copy_from(x.rows(0, 2)) overlaps
  void upload(void* device, const void* host, std::size_t bytes) override { std::memmove(device, host, bytes); }
  void download(void* host, const void* device, std::size_t bytes) override { std::memmove(host, device, bytes); }
  void copy(void* to, const void* from, std::size_t bytes) override { std::memmove(to, from, bytes); }

 private:
  static constexpr std::align_val_t line{64};
};

}  // namespace
}  // namespace cpu

Memory& cpu_memory() {
  static auto* memory = new cpu::HostMemory;  // never destroyed: tensors may outlive every static object
  return *memory;
}

}  // namespace handgrad::kernels
