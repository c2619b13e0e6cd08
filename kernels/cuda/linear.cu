#include <variant>

#include "kernels/cuda/backend.hpp"
#include "kernels/cuda/device.hpp"

namespace handgrad::kernels::cuda {

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
  struct Column {
    const T* dy;
    T w;
    __device__ T operator()(std::size_t i) const { return dy[i] * w; }
  };
  __device__ Column column(std::size_t j) const { return {dy, w[j]}; }
};

// dzᵢⱼ = (δ·W)ᵢⱼ·f′(zᵢⱼ), where dz holds the product, or for a single output neuron δᵢ·wⱼ·f′(zᵢⱼ); x = f(z). As a term
// of a sum over columns it is stored on the way.
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
bool CudaBackend<T>::linear_forward(const Tensor<T>& x, const Tensor<T>& W, const Tensor<T>* b, const A* f,
                                    Tensor<T>& y, Tensor<T>* mask) {
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
    return false;
  }
  const auto product = [&](Epilogue epilogue, const T* bias, void* bits) {
    return context_.products().run(Product<T>{false, true, rows, out, in, x.data(), W.data(), T(0), y.data(), epilogue,
                                              const_cast<T*>(bias), bits});
  };
  const T* bias = b ? b->data() : nullptr;
  if (std::holds_alternative<formulas::ReLU>(activation)) {
    if (mask && product(Epilogue::ReLUMask, bias, mask->data())) return true;
    if (product(Epilogue::ReLU, bias, nullptr)) return false;
  }
  if (bias && product(Epilogue::Bias, bias, nullptr))
    bias = nullptr;  // done
  else
    product(Epilogue::None, nullptr, nullptr);
  if (bias)
    std::visit(
        [&](const auto& g) {
          map_columns(context_, rows, out, y.data(), BiasActivation<std::decay_t<decltype(g)>, T>{g, bias},
                      static_cast<const T*>(y.data()));
        },
        activation);
  else if (f)
    activation_forward(*f, y, y);
  return false;
}

// ReLU's bits, which cuBLASLt writes beside y and reads again in the product δ·W.
template <class T>
std::size_t CudaBackend<T>::mask_size(const A& f, const Tensor<T>& y) const {
  const std::size_t out = y.shape()[-1];
  const bool masks = std::holds_alternative<formulas::ReLU>(f) && out > 1;
  return masks ? y.numel() / out * mask_columns(out) / (8 * sizeof(T)) : 0;
}

// dx = δ·W
template <class T>
void CudaBackend<T>::linear_backward_input(const Tensor<T>& dy, const Tensor<T>& W, Tensor<T>& dx) {
  const auto guard = context_.use();
  const std::size_t out = W.size(0), in = W.size(1), rows = dy.numel() / out;
  if (out == 1)
    map_columns(context_, rows, in, dx.data(), Outer<T>{dy.data(), W.data()});
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

// dz = (δ·W)∘f′(z),  db = Σᵢ dzᵢ: in the product where cuBLASLt can, else in one pass after it.
template <class T>
void CudaBackend<T>::activation_linear_backward(const Tensor<T>& dy, const Tensor<T>& W, const A& f, const Tensor<T>& z,
                                                const Tensor<T>& x, const Tensor<T>* mask, Tensor<T>& dz,
                                                Accumulator<T> db) {
  const auto guard = context_.use();
  const std::size_t out = W.size(0), in = W.size(1), rows = dy.numel() / out;
  const T* weights = nullptr;  // of a single output neuron, whose product is done in the pass
  if (out == 1) {
    weights = W.data();
  } else {
    Product<T> product{false, false, rows, in, out, dy.data(), W.data(), T(0), dz.data()};
    if (mask) {
      const bool overwrites = db.grad && db.beta == T(0);  // as the epilogue does
      product.epilogue = Epilogue::ReLUGradient;
      product.mask = const_cast<T*>(mask->data());
      product.bias = overwrites ? db.grad->data() : nullptr;
      if (context_.products().run(product)) {
        if (db.grad && !overwrites)
          column_sums<1>(context_, rows, in, Elements<T>{dz.data(), in}, Accumulate<T>{db.grad->data(), db.beta});
        return;
      }
      product.epilogue = Epilogue::None;
      product.mask = product.bias = nullptr;
    }
    context_.products().run(product);
  }
  std::visit(
      [&](const auto& g) {
        const Through<std::decay_t<decltype(g)>, T> through{g, dy.data(), weights, z.data(), x.data(), dz.data(), in};
        if (db.grad)
          column_sums<1>(context_, rows, in, through, Accumulate<T>{db.grad->data(), db.beta});
        else
          map_index(context_, dz.numel(), dz.data(), through);
      },
      f);
}

#define HANDGRAD_INSTANTIATE(T)                                                                                  \
  template void CudaBackend<T>::matmul(const Tensor<T>&, bool, const Tensor<T>&, bool, T, Tensor<T>&);           \
  template bool CudaBackend<T>::linear_forward(const Tensor<T>&, const Tensor<T>&, const Tensor<T>*, const A*,   \
                                               Tensor<T>&, Tensor<T>*);                                          \
  template std::size_t CudaBackend<T>::mask_size(const A&, const Tensor<T>&) const;                              \
  template void CudaBackend<T>::linear_backward_input(const Tensor<T>&, const Tensor<T>&, Tensor<T>&);           \
  template void CudaBackend<T>::linear_backward_parameters(const Tensor<T>&, const Tensor<T>&, Accumulator<T>,   \
                                                           Accumulator<T>);                                      \
  template void CudaBackend<T>::activation_linear_backward(const Tensor<T>&, const Tensor<T>&, const A&,         \
                                                           const Tensor<T>&, const Tensor<T>&, const Tensor<T>*, \
                                                           Tensor<T>&, Accumulator<T>);
HANDGRAD_INSTANTIATE(float)
HANDGRAD_INSTANTIATE(double)
#undef HANDGRAD_INSTANTIATE

}  // namespace handgrad::kernels::cuda
