#include <variant>

#include "kernels/cuda/backend.hpp"
#include "kernels/cuda/device.hpp"

namespace handgrad::kernels::cuda {

namespace {

// y = f(y + b), b along the columns or missing
template <class F, class T>
struct BiasActivation {
  F f;
  const T *y, *bias;
  std::size_t columns;
  __device__ T operator()(std::size_t i) const {
    return f.value(bias ? y[i] + bias[place_of(i, columns).column] : y[i]);
  }
};

// A single output neuron: yᵢ = f(xᵢ·w + b), a warp for each row. A product of that shape has nothing to reuse.
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
  std::size_t columns;
  __device__ T operator()(std::size_t i) const {
    const Place p = place_of(i, columns);
    return dy[p.row] * w[p.column];
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
struct Elements {
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

template <class T>
void CudaBackend<T>::matmul(const Tensor<T>& a, bool ta, const Tensor<T>& b, bool tb, T beta, Tensor<T>& c) {
  const auto guard = context_.use();
  context_.products().run(
      Product<T>{ta, tb, c.size(0), c.size(1), a.size(ta ? 0 : 1), a.data(), b.data(), beta, c.data()});
}

// y = f(x·Wᵀ + b): bias and ReLU in the product where cuBLASLt can, the rest in one pass over y.
template <class T>
void CudaBackend<T>::linear_forward(const Tensor<T>& x, const Tensor<T>& W, const Tensor<T>* b, const A* f,
                                    Tensor<T>& y) {
  const auto guard = context_.use();
  const std::size_t out = W.size(0), in = W.size(1), rows = x.numel() / in;
  const A activation = f ? *f : A(formulas::Identity{});
  if (out == 1) {
    std::visit(
        [&](const auto& g) {
          context_.launch(neuron_kernel<std::decay_t<decltype(g)>, T>, row_blocks<warp>(context_, rows), threads, rows,
                          in, x.data(), W.data(), b ? b->data() : nullptr, g, y.data());
        },
        activation);
    return;
  }
  Product<T> product{false, true, rows, out, in, x.data(), W.data(), T(0), y.data()};
  bool bias_done = !b, f_done = !f;
  if (b) {
    product.bias = const_cast<T*>(b->data());
    product.epilogue = f && std::holds_alternative<formulas::ReLU>(*f) ? Epilogue::ReLUBias : Epilogue::Bias;
    if (context_.products().run(product)) {
      bias_done = true;
      f_done = f_done || product.epilogue == Epilogue::ReLUBias;
    }
  }
  if (!b || !bias_done) {
    product.epilogue = Epilogue::None;
    product.bias = nullptr;
    context_.products().run(product);
  }
  if (bias_done && f_done) return;
  std::visit(
      [&](const auto& g) {
        using F = std::decay_t<decltype(g)>;
        map_index(context_, y.numel(), y.data(),
                  BiasActivation<F, T>{g, y.data(), bias_done ? nullptr : b->data(), out});
      },
      activation);
}

// dx = δ·W
template <class T>
void CudaBackend<T>::linear_backward_input(const Tensor<T>& dy, const Tensor<T>& W, Tensor<T>& dx) {
  const auto guard = context_.use();
  const std::size_t out = W.size(0), in = W.size(1), rows = dy.numel() / out;
  if (out == 1)
    map_index(context_, dx.numel(), dx.data(), Outer<T>{dy.data(), W.data(), in});
  else
    context_.products().run(Product<T>{false, false, rows, in, out, dy.data(), W.data(), T(0), dx.data()});
}

// dW = δᵀ·x,  db = Σᵢ δᵢ, in the product where cuBLASLt can
template <class T>
void CudaBackend<T>::linear_backward_parameters(const Tensor<T>& x, const Tensor<T>& dy, Accumulator<T> dW,
                                                Accumulator<T> db) {
  const auto guard = context_.use();
  const std::size_t in = dW.grad->shape()[-1], out = dW.grad->numel() / in, rows = x.numel() / in;
  bool bias_done = !db.grad;
  if (out == 1) {
    column_sums<1>(context_, rows, in, WeightedRows<T>{dy.data(), x.data(), in},
                   Accumulate<T>{dW.grad->data(), dW.beta});
  } else {
    Product<T> product{true, false, out, in, rows, dy.data(), x.data(), dW.beta, dW.grad->data()};
    bool done = false;
    if (db.grad && db.beta == T(0)) {  // the epilogue overwrites
      product.epilogue = Epilogue::BiasGradient;
      product.bias = db.grad->data();
      done = bias_done = context_.products().run(product);
    }
    if (!done) {
      product.epilogue = Epilogue::None;
      product.bias = nullptr;
      context_.products().run(product);
    }
  }
  if (!bias_done)
    column_sums<1>(context_, rows, out, Elements<T>{dy.data(), out}, Accumulate<T>{db.grad->data(), db.beta});
}

#define HANDGRAD_INSTANTIATE(T)                                                                                \
  template void CudaBackend<T>::matmul(const Tensor<T>&, bool, const Tensor<T>&, bool, T, Tensor<T>&);         \
  template void CudaBackend<T>::linear_forward(const Tensor<T>&, const Tensor<T>&, const Tensor<T>*, const A*, \
                                               Tensor<T>&);                                                    \
  template void CudaBackend<T>::linear_backward_input(const Tensor<T>&, const Tensor<T>&, Tensor<T>&);         \
  template void CudaBackend<T>::linear_backward_parameters(const Tensor<T>&, const Tensor<T>&, Accumulator<T>, \
                                                           Accumulator<T>);
HANDGRAD_INSTANTIATE(float)
HANDGRAD_INSTANTIATE(double)
#undef HANDGRAD_INSTANTIATE

}  // namespace handgrad::kernels::cuda
