#include <algorithm>
#include <cstring>
#include <variant>

#include "kernels/cpu/backend.hpp"
#include "kernels/cpu/product.hpp"
#include "kernels/cpu/simd.hpp"

namespace handgrad::kernels::cpu {

namespace {

// sums = Σᵢ xᵢ + β·sums over the rows of x
template <class T>
void sum_rows(std::size_t rows, std::size_t columns, const T* x, T beta, T* sums) {
  if (columns == 1) {
    const T total = static_cast<T>(sum<T>(
        rows, [](Batch<T> v) { return v; }, x));
    *sums = beta == T(0) ? total : *sums + total;
    return;
  }
  if (beta == T(0)) std::memset(sums, 0, columns * sizeof(T));
  for (std::size_t i = 0; i < rows; ++i)
    map(
        columns, sums, [](Batch<T> s, Batch<T> v) { return s + v; }, sums, x + i * columns);
}

}  // namespace

// y = f(x·Wᵀ + b): the product, then bias and activation in one pass over y.
template <class T>
bool CpuBackend<T>::linear_forward(const Tensor<T>& x, const Tensor<T>& W, const Tensor<T>* b, const A* f, Tensor<T>& y,
                                   Tensor<T>*) {
  const std::size_t out = W.size(0), in = W.size(1), rows = x.numel() / in;
  gemm(false, true, rows, out, in, x.data(), W.data(), T(0), y.data());
  if (!b && !f) return false;
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
  return false;
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
  if (db.grad) sum_rows(rows, out, dy.data(), db.beta, db.grad->data());
}

// dz = (δ·W)∘f′(z),  db = Σᵢ dzᵢ: the product, then one pass, whose sums find in the cache what f′ was applied to.
template <class T>
void CpuBackend<T>::activation_linear_backward(const Tensor<T>& dy, const Tensor<T>& W, const A& f, const Tensor<T>& z,
                                               const Tensor<T>& x, const Tensor<T>*, Tensor<T>& dz, Accumulator<T> db) {
  const std::size_t out = W.size(0), in = W.size(1), rows = dy.numel() / out;
  gemm(false, false, rows, in, out, dy.data(), W.data(), T(0), dz.data());
  const std::size_t step = std::max<std::size_t>(1, 4096 / in);  // rows
  std::visit(
      [&](const auto& g) {
        for (std::size_t first = 0; first < rows; first += step) {
          const std::size_t count = std::min(step, rows - first), at = first * in;
          map(
              count * in, dz.data() + at,
              [g](Batch<T> dx, Batch<T> zi, Batch<T> xi) { return dx * g.derivative(zi, xi); }, dz.data() + at,
              z.data() + at, x.data() + at);
          if (db.grad) sum_rows(count, in, dz.data() + at, first == 0 ? db.beta : T(1), db.grad->data());
        }
      },
      f);
}

#define HANDGRAD_INSTANTIATE(T)                                                                                 \
  template bool CpuBackend<T>::linear_forward(const Tensor<T>&, const Tensor<T>&, const Tensor<T>*, const A*,   \
                                              Tensor<T>&, Tensor<T>*);                                          \
  template void CpuBackend<T>::linear_backward_input(const Tensor<T>&, const Tensor<T>&, Tensor<T>&);           \
  template void CpuBackend<T>::linear_backward_parameters(const Tensor<T>&, const Tensor<T>&, Accumulator<T>,   \
                                                          Accumulator<T>);                                      \
  template void CpuBackend<T>::activation_linear_backward(const Tensor<T>&, const Tensor<T>&, const A&,         \
                                                          const Tensor<T>&, const Tensor<T>&, const Tensor<T>*, \
                                                          Tensor<T>&, Accumulator<T>);
HANDGRAD_INSTANTIATE(float)
HANDGRAD_INSTANTIATE(double)
#undef HANDGRAD_INSTANTIATE

}  // namespace handgrad::kernels::cpu
