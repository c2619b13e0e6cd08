#include "kernels/linear.hpp"

#include <algorithm>
#include <variant>

#include "kernels/cpu/cpu.hpp"
#include "kernels/cpu/product.hpp"
#include "kernels/cpu/simd.hpp"

namespace handgrad::kernels {

using namespace cpu;

// y = f(x·Wᵀ + b): the product, then bias and activation in one pass over y.
template <class D, class T>
bool LinearOn<D, T>::forward(Matrix<const T> x, Matrix<const T> W, Vector<const T> b, const formulas::Activation* f,
                             Matrix<T> y, T*) {
  const std::size_t rows = x.rows, in = x.columns, out = W.rows;
  gemm(false, true, rows, out, in, x.data, W.data, T(0), y.data);
  if (!b && !f) return false;
  std::visit(
      [&](const auto& activation) {
        if (b && out == 1) {
          const Batch<T> bias(*b.data);
          map(
              rows, y.data, [=](Batch<T> z) { return activation.value(z + bias); }, y.data);
        } else if (b) {
          for (std::size_t i = 0; i < rows; ++i)
            map(
                out, y.data + i * out, [=](Batch<T> z, Batch<T> bias) { return activation.value(z + bias); },
                y.data + i * out, b.data);
        } else {
          map(
              y.size(), y.data, [=](Batch<T> z) { return activation.value(z); }, y.data);
        }
      },
      f ? *f : formulas::Activation(formulas::Identity{}));
  return false;
}

template <class D, class T>
std::size_t LinearOn<D, T>::mask_size(const formulas::Activation&, std::size_t, std::size_t) const {
  return 0;
}

// dx = δ·W
template <class D, class T>
void LinearOn<D, T>::backward_input(Matrix<const T> dy, Matrix<const T> W, Matrix<T> dx) {
  const std::size_t rows = dy.rows, in = W.columns, out = W.rows;
  gemm(false, false, rows, in, out, dy.data, W.data, T(0), dx.data);
}

// dW = δᵀ·x,  db = Σᵢ δᵢ
template <class D, class T>
void LinearOn<D, T>::backward_parameters(Matrix<const T> x, Matrix<const T> dy, Gradient<T> dW, Gradient<T> db) {
  const std::size_t rows = x.rows, in = x.columns, out = dy.columns;
  if (dW) gemm(true, false, out, in, rows, dy.data, x.data, dW.beta, dW.data);
  if (db) column_sums(rows, out, dy.data, db.beta, db.data);
}

// dz = (δ·W)∘f′(z),  db = Σᵢ dzᵢ
template <class D, class T>
void LinearOn<D, T>::backward_through(Matrix<const T> dy, Matrix<const T> W, const formulas::Activation& f,
                                      Matrix<const T> z, Matrix<const T> x, const T*, Matrix<T> dz, Gradient<T> db) {
  const std::size_t rows = dy.rows, in = W.columns, out = W.rows;
  gemm(false, false, rows, in, out, dy.data, W.data, T(0), dz.data);
  std::visit(
      [&](const auto& g) {
        map(
            rows * in, dz.data, [g](Batch<T> dx, Batch<T> zi, Batch<T> xi) { return dx * g.derivative(zi, xi); },
            dz.data, z.data, x.data);
      },
      f);
  if (db) column_sums(rows, in, dz.data, db.beta, db.data);  // over all rows at once: the order of the unfused sum
}

template class LinearOn<cpu::Cpu, float>;
template class LinearOn<cpu::Cpu, double>;

}  // namespace handgrad::kernels
