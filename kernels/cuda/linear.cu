#include "kernels/linear.hpp"

#include <variant>

#include "kernels/activations.hpp"
#include "kernels/cuda/device.hpp"

namespace handgrad::kernels {

using namespace cuda;

namespace {

// y = f(y + b), b along the columns
template <class F, class T>
struct BiasActivation {
  F f;
  const T* bias;
  struct Column {
    F f;
    T bias;
    __device__ T operator()(std::size_t, T y) const { return f.value(y + bias); }
  };
  __device__ Column column(std::size_t j) const { return {f, bias[j]}; }
};

// A single output neuron: yᵢ = f(xᵢ·w + b), one warp per row, since a product of this shape has nothing to reuse.
template <class F, class T>
__global__ void __launch_bounds__(threads)
    neuron_kernel(std::size_t rows, std::size_t in, const T* x, const T* w, const T* bias, F f, T* y) {
  const Group<warp> group;
  for (std::size_t i = std::size_t{blockIdx.x} * group.in_block + group.index; i < rows;
       i += std::size_t{gridDim.x} * group.in_block) {
    T sum = 0;
    for (std::size_t j = group.lane; j < in; j += warp) sum += x[i * in + j] * w[j];
    sum = group.sum(sum);
    if (group.lane == 0) y[i] = f.value(bias ? sum + *bias : sum);
  }
}

// dxᵢⱼ = δᵢ·wⱼ
template <class T>
struct Outer {
  const T *dy, *w;
  struct Column {
    const T* dy;
    T w;
    __device__ T operator()(std::size_t i) const { return dy[i] * w; }
  };
  __device__ Column column(std::size_t j) const { return {dy, w[j]}; }
};

// dzᵢⱼ = (δ·W)ᵢⱼ·f′(zᵢⱼ), with the product in dz, or, for a single output neuron, δᵢ·wⱼ·f′(zᵢⱼ); x = f(z). As a term of
// a sum over columns it is also stored.
template <class F, class T>
struct Through {
  F f;
  const T *dy, *w, *z, *x;
  T* dz;
  std::size_t columns;
  __device__ T value(std::size_t i, std::size_t row, std::size_t column) const {
    return (w ? dy[row] * w[column] : dz[i]) * f.derivative(z[i], x[i]);
  }
  __device__ T operator()(std::size_t i) const {
    const Place p = place_of(i, columns);
    return value(i, p.row, p.column);
  }
  __device__ Sums<1> operator()(std::size_t row, std::size_t column) const {
    const std::size_t i = row * columns + column;
    dz[i] = value(i, row, column);
    return {{static_cast<double>(dz[i])}};
  }
};

// dwⱼ = Σᵢ δᵢ·xᵢⱼ
template <class T>
struct WeightedRows {
  const T *dy, *x;
  std::size_t columns;
  __device__ Sums<1> operator()(std::size_t i, std::size_t j) const {
    return {{static_cast<double>(dy[i]) * static_cast<double>(x[i * columns + j])}};
  }
};

// dbⱼ = Σᵢ δᵢⱼ
template <class T>
struct Deltas {
  const T* dy;
  std::size_t columns;
  __device__ Sums<1> operator()(std::size_t i, std::size_t j) const {
    return {{static_cast<double>(dy[i * columns + j])}};
  }
};

template <class T>
struct Accumulate {
  T* grad;
  T beta;
  __device__ void operator()(std::size_t j, const Sums<1>& sum) const {
    const T s = static_cast<T>(sum.of[0]);
    grad[j] = beta == T(0) ? s : s + beta * grad[j];
  }
};

}  // namespace

// y = f(x·Wᵀ + b): bias and ReLU within the product if cuBLASLt can, the rest in one pass over y.
template <class D, class T>
bool LinearOn<D, T>::forward(Matrix<const T> x, Matrix<const T> W, Vector<const T> b, const formulas::Activation* f,
                             Matrix<T> y, T* mask) {
  const auto guard = device_.use();
  const std::size_t rows = x.rows, in = x.columns, out = W.rows;
  const formulas::Activation activation = f ? *f : formulas::Activation(formulas::Identity{});
  if (out == 1) {
    std::visit(
        [&](const auto& g) {
          device_.launch(neuron_kernel<std::decay_t<decltype(g)>, T>, row_blocks<warp>(device_, rows), threads, rows,
                         in, x.data, W.data, b.data, g, y.data);
        },
        activation);
    return false;
  }
  const auto product = [&](Epilogue epilogue, const T* bias, void* bits) {
    return device_.products().run(
        Product<T>{false, true, rows, out, in, x.data, W.data, T(0), y.data, epilogue, const_cast<T*>(bias), bits});
  };
  const T* bias = b.data;
  if (std::holds_alternative<formulas::ReLU>(activation)) {
    if (mask && product(Epilogue::ReLUMask, bias, mask)) return true;
    if (product(Epilogue::ReLU, bias, nullptr)) return false;
  }
  if (bias && product(Epilogue::Bias, bias, nullptr))
    bias = nullptr;  // done
  else
    product(Epilogue::None, nullptr, nullptr);
  if (bias)
    std::visit(
        [&](const auto& g) {
          map_columns(device_, rows, out, y.data, BiasActivation<std::decay_t<decltype(g)>, T>{g, bias},
                      static_cast<const T*>(y.data));
        },
        activation);
  else if (f)
    ActivationsOn<D, T>(device_).forward(*f, {y.data, y.size()}, {y.data, y.size()});
  return false;
}

// ReLU's bits, which cuBLASLt writes along with y and reads in the product δ·W.
template <class D, class T>
std::size_t LinearOn<D, T>::mask_size(const formulas::Activation& f, std::size_t rows, std::size_t columns) const {
  const bool masks = std::holds_alternative<formulas::ReLU>(f) && columns > 1;
  return masks ? rows * mask_columns(columns) / (8 * sizeof(T)) : 0;
}

// dx = δ·W
template <class D, class T>
void LinearOn<D, T>::backward_input(Matrix<const T> dy, Matrix<const T> W, Matrix<T> dx) {
  const auto guard = device_.use();
  const std::size_t rows = dy.rows, in = W.columns, out = W.rows;
  if (out == 1)
    map_columns(device_, rows, in, dx.data, Outer<T>{dy.data, W.data});
  else
    device_.products().run(Product<T>{false, false, rows, in, out, dy.data, W.data, T(0), dx.data});
}

// dW = δᵀ·x,  db = Σᵢ δᵢ, within the product if cuBLASLt can
template <class D, class T>
void LinearOn<D, T>::backward_parameters(Matrix<const T> x, Matrix<const T> dy, Gradient<T> dW, Gradient<T> db) {
  const auto guard = device_.use();
  const std::size_t rows = x.rows, in = x.columns, out = dy.columns;
  bool bias_done = !db;
  if (!dW) {
    // Frozen: only the bias.
  } else if (out == 1) {
    column_sums<1>(device_, rows, in, WeightedRows<T>{dy.data, x.data, in}, Accumulate<T>{dW.data, dW.beta});
  } else {
    Product<T> product{true, false, out, in, rows, dy.data, x.data, dW.beta, dW.data};
    bool done = false;
    if (db && db.beta == T(0)) {  // the epilogue overwrites
      product.epilogue = Epilogue::BiasGradient;
      product.bias = db.data;
      done = bias_done = device_.products().run(product);
    }
    if (!done) {
      product.epilogue = Epilogue::None;
      product.bias = nullptr;
      device_.products().run(product);
    }
  }
  if (!bias_done) column_sums<1>(device_, rows, out, Deltas<T>{dy.data, out}, Accumulate<T>{db.data, db.beta});
}

// dz = (δ·W)∘f′(z),  db = Σᵢ dzᵢ: within the product if cuBLASLt can, else in one pass after it.
template <class D, class T>
void LinearOn<D, T>::backward_through(Matrix<const T> dy, Matrix<const T> W, const formulas::Activation& f,
                                      Matrix<const T> z, Matrix<const T> x, const T* mask, Matrix<T> dz,
                                      Gradient<T> db) {
  const auto guard = device_.use();
  const std::size_t rows = dy.rows, in = W.columns, out = W.rows;
  const T* weights = nullptr;  // for a single output neuron, whose product is part of the pass
  if (out == 1) {
    weights = W.data;
  } else {
    Product<T> product{false, false, rows, in, out, dy.data, W.data, T(0), dz.data};
    if (mask) {
      const bool overwrites = db && db.beta == T(0);  // as the epilogue does
      product.epilogue = Epilogue::ReLUGradient;
      product.mask = const_cast<T*>(mask);
      product.bias = overwrites ? db.data : nullptr;
      if (device_.products().run(product)) {
        if (db && !overwrites)
          column_sums<1>(device_, rows, in, Deltas<T>{dz.data, in}, Accumulate<T>{db.data, db.beta});
        return;
      }
      product.epilogue = Epilogue::None;
      product.mask = product.bias = nullptr;
    }
    device_.products().run(product);
  }
  std::visit(
      [&](const auto& g) {
        const Through<std::decay_t<decltype(g)>, T> through{g, dy.data, weights, z.data, x.data, dz.data, in};
        if (db)
          column_sums<1>(device_, rows, in, through, Accumulate<T>{db.data, db.beta});
        else
          map_index(device_, dz.size(), dz.data, through);
      },
      f);
}

template class LinearOn<cuda::Context, float>;
template class LinearOn<cuda::Context, double>;

}  // namespace handgrad::kernels
