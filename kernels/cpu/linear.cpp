#include <cstring>
#include <variant>

#include "kernels/cpu/backend.hpp"
#include "kernels/cpu/product.hpp"
#include "kernels/cpu/simd.hpp"

namespace handgrad::kernels::cpu {

// y = f(x·Wᵀ + b): the product, then bias and activation in one pass over y.
template <class T>
void CpuBackend<T>::linear_forward(const Tensor<T>& x, const Tensor<T>& W, const Tensor<T>* b, const A* f,
                                   Tensor<T>& y) {
  const std::size_t out = W.size(0), in = W.size(1), rows = x.numel() / in;
  gemm(false, true, rows, out, in, x.data(), W.data(), T(0), y.data());
  if (!b && !f) return;
  std::visit(
      [&](const auto& activation) {
        if (b && out == 1) {
          const Batch<T> bias(*b->data());
          map(
              rows, y.data(), [=](Batch<T> z) { return activation.value(z + bias); }, y.data());
        } else if (b) {
          for (std::size_t i = 0; i < rows; ++i)
            map(
                out, y.data() + i * out, [=](Batch<T> z, Batch<T> bias) { return activation.value(z + bias); },
                y.data() + i * out, b->data());
        } else {
          map(
              y.numel(), y.data(), [=](Batch<T> z) { return activation.value(z); }, y.data());
        }
      },
      f ? *f : A(formulas::Identity{}));
}

// dx = δ·W
template <class T>
void CpuBackend<T>::linear_backward_input(const Tensor<T>& dy, const Tensor<T>& W, Tensor<T>& dx) {
  const std::size_t out = W.size(0), in = W.size(1), rows = dy.numel() / out;
  gemm(false, false, rows, in, out, dy.data(), W.data(), T(0), dx.data());
}

// dW = δᵀ·x,  db = Σᵢ δᵢ
template <class T>
void CpuBackend<T>::linear_backward_parameters(const Tensor<T>& x, const Tensor<T>& dy, Accumulator<T> dW,
                                               Accumulator<T> db) {
  const std::size_t in = dW.grad->shape()[-1], out = dW.grad->numel() / in, rows = x.numel() / in;
  gemm(true, false, out, in, rows, dy.data(), x.data(), dW.beta, dW.grad->data());
  if (!db.grad) return;
  T* sums = db.grad->data();
  if (out == 1) {
    const T total = static_cast<T>(sum<T>(
        rows, [](Batch<T> v) { return v; }, dy.data()));
    *sums = db.beta == T(0) ? total : *sums + total;
    return;
  }
  if (db.beta == T(0)) std::memset(sums, 0, out * sizeof(T));
  for (std::size_t i = 0; i < rows; ++i)
    map(
        out, sums, [](Batch<T> s, Batch<T> v) { return s + v; }, sums, dy.data() + i * out);
}

#define HANDGRAD_INSTANTIATE(T)                                                                               \
  template void CpuBackend<T>::linear_forward(const Tensor<T>&, const Tensor<T>&, const Tensor<T>*, const A*, \
                                              Tensor<T>&);                                                    \
  template void CpuBackend<T>::linear_backward_input(const Tensor<T>&, const Tensor<T>&, Tensor<T>&);         \
  template void CpuBackend<T>::linear_backward_parameters(const Tensor<T>&, const Tensor<T>&, Accumulator<T>, \
                                                          Accumulator<T>);
HANDGRAD_INSTANTIATE(float)
HANDGRAD_INSTANTIATE(double)
#undef HANDGRAD_INSTANTIATE

}  // namespace handgrad::kernels::cpu
