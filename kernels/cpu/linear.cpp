#include "kernels/linear.hpp"

#include <algorithm>
#include <variant>

#include "kernels/cpu/cpu.hpp"
#include "kernels/cpu/product.hpp"
#include "kernels/cpu/simd.hpp"

namespace handgrad::kernels {

using namespace cpu;

namespace {

// c ← f(c, in…) for rows·columns elements from c on, in rows that are ldc apart, with the same places of each `in`. A
// single column is one run.
template <class T, class F, class... In>
void piece(T* c, std::size_t ldc, std::size_t rows, std::size_t columns, F f, const In*... in) {
  if (columns == ldc) return map(rows * columns, c, f, c, in...);
  for (std::size_t i = 0; i < rows; ++i) map(columns, c + i * ldc, f, c + i * ldc, (in + i * ldc)...);
}

// z = x·Wᵀ becomes y = f(z + b)
template <class T, class F>
struct BiasActivation {
  const T* b;
  const F& f;
  static void apply(const void* context, T* y, std::size_t ld, std::size_t, std::size_t rows, std::size_t column,
                    std::size_t columns) {
    const auto [b, f] = *static_cast<const BiasActivation*>(context);
    if (!b) {
      piece(y, ld, rows, columns, [g = f](Batch<T> z) { return g.value(z); });
    } else if (ld == 1) {
      piece(y, ld, rows, columns, [g = f, bias = Batch<T>(*b)](Batch<T> z) { return g.value(z + bias); });
    } else {
      for (std::size_t i = 0; i < rows; ++i)
        map(
            columns, y + i * ld, [g = f](Batch<T> z, Batch<T> bias) { return g.value(z + bias); }, y + i * ld,
            b + column);
    }
  }
};

// dx = δ·W becomes dz = dx∘f′(z), for x = f(z)
template <class T, class F>
struct ActivationDerivative {
  const T *z, *x;
  const F& f;
  static void apply(const void* context, T* dz, std::size_t ld, std::size_t row, std::size_t rows, std::size_t column,
                    std::size_t columns) {
    const auto [z, x, f] = *static_cast<const ActivationDerivative*>(context);
    const std::size_t at = row * ld + column;
    piece(
        dz, ld, rows, columns, [g = f](Batch<T> dx, Batch<T> zi, Batch<T> xi) { return dx * g.derivative(zi, xi); },
        z + at, x + at);
  }
};

}  // namespace

// y = f(x·Wᵀ + b): bias and activation are applied while a piece of the product is in the cache.
template <class D, class T>
bool LinearOn<D, T>::forward(Matrix<const T> x, Matrix<const T> W, Vector<const T> b, const formulas::Activation* f,
                             Matrix<T> y, T*) {
  const std::size_t rows = x.rows, in = x.columns, out = W.rows;
  if (!b && !f) {
    gemm(false, true, rows, out, in, x.data, W.data, T(0), y.data);
    return false;
  }
  std::visit(
      [&]<class F>(const F& activation) {
        const BiasActivation<T, F> last{b.data, activation};
        const Epilogue<T> epilogue{last.apply, &last};
        gemm(false, true, rows, out, in, x.data, W.data, T(0), y.data, &epilogue);
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
  std::visit(
      [&]<class F>(const F& activation) {
        const ActivationDerivative<T, F> last{z.data, x.data, activation};
        const Epilogue<T> epilogue{last.apply, &last};
        gemm(false, false, rows, in, out, dy.data, W.data, T(0), dz.data, &epilogue);
      },
      f);
  if (db) column_sums(rows, in, dz.data, db.beta, db.data);  // over all rows at once: in the order of the unfused sum
}

template class LinearOn<cpu::Cpu, float>;
template class LinearOn<cpu::Cpu, double>;

}  // namespace handgrad::kernels
