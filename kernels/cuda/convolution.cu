#include "kernels/convolution.hpp"

#include <variant>

#include "kernels/cuda/device.hpp"

namespace handgrad::kernels {

using namespace cuda;

namespace {

// y[n,o,i,j] = f(Σ_{c,u,v} W[o,c,u,v]·x[n,c,h,w] + b[o]): one thread per output
template <class T, class F>
struct Forward {
  ConvolutionShape s;
  const T *x, *W, *b;
  F f;
  __device__ T operator()(std::size_t at) const {
    const std::size_t j = at % s.columns.out, i = at / s.columns.out % s.rows.out, no = at / s.out_plane(),
                      o = no % s.filters, n = no / s.filters;
    const std::size_t C = s.group_channels(), first = o / s.group_filters() * C;
    const T* w = W + o * s.terms();
    T sum = 0;
    for (std::size_t c = 0; c < C; ++c) {
      const T* plane = x + (n * s.channels + first + c) * s.in_plane();
      for (std::size_t u = 0; u < s.rows.kernel; ++u)
        for (std::size_t v = 0; v < s.columns.kernel; ++v, ++w) {
          const std::size_t row = s.rows.input(i, u), column = s.columns.input(j, v);
          if (row < s.rows.in && column < s.columns.in) sum += *w * plane[row * s.columns.in + column];
        }
    }
    return f.value(b ? sum + b[o] : sum);
  }
};

// dx[n,c,h,w] = Σ_{o,u,v} W[o,c,u,v]·δ[n,o,i,j] + b[c]: one thread per input, gathering from its outputs
template <class T>
struct BackwardInput {
  ConvolutionShape s;
  const T *dy, *W, *b;
  __device__ T operator()(std::size_t at) const {
    const std::size_t w = at % s.columns.in, h = at / s.columns.in % s.rows.in, nc = at / s.in_plane(),
                      c = nc % s.channels, n = nc / s.channels;
    const std::size_t C = s.group_channels(), O = s.group_filters(), first = c / C * O;
    T sum = 0;
    for (std::size_t o = first; o < first + O; ++o) {
      const T *plane = dy + (n * s.filters + o) * s.out_plane(), *weight = W + (o * C + c % C) * s.taps();
      for (std::size_t u = 0; u < s.rows.kernel; ++u)
        for (std::size_t v = 0; v < s.columns.kernel; ++v, ++weight) {
          const std::size_t i = s.rows.output(h, u), j = s.columns.output(w, v);
          if (i < s.rows.out && j < s.columns.out) sum += *weight * plane[i * s.columns.out + j];
        }
    }
    return b ? sum + b[c] : sum;
  }
};

// The terms of dW[o,c,u,v] = Σ_{n,i,j} δ[n,o,i,j]·x[n,c,h,w]
template <class T>
struct BackwardWeight {
  ConvolutionShape s;
  const T *x, *dy;
  __device__ Sums<1> operator()(std::size_t position, std::size_t weight) const {
    const std::size_t j = position % s.columns.out, i = position / s.columns.out % s.rows.out,
                      n = position / s.out_plane();
    const std::size_t v = weight % s.columns.kernel, u = weight / s.columns.kernel % s.rows.kernel,
                      oc = weight / s.taps(), C = s.group_channels(), o = oc / C,
                      c = o / s.group_filters() * C + oc % C;
    const std::size_t row = s.rows.input(i, u), column = s.columns.input(j, v);
    if (row >= s.rows.in || column >= s.columns.in) return {{0}};
    return {{static_cast<double>(dy[(n * s.filters + o) * s.out_plane() + i * s.columns.out + j]) *
             static_cast<double>(x[(n * s.channels + c) * s.in_plane() + row * s.columns.in + column])}};
  }
};

// The terms of db[o] = Σ_{n,q} δ[n,o,q]
template <class T>
struct BackwardBias {
  std::size_t filters, plane;
  const T* dy;
  __device__ Sums<1> operator()(std::size_t position, std::size_t o) const {
    return {{static_cast<double>(dy[(position / plane * filters + o) * plane + position % plane])}};
  }
};

template <class T>
struct Accumulate {
  Gradient<T> to;
  __device__ void operator()(std::size_t k, const Sums<1>& sum) const {
    const T s = static_cast<T>(sum.of[0]);
    to.data[k] = to.beta == T(0) ? s : to.data[k] + s;
  }
};

}  // namespace

template <class D, class T>
void ConvolutionOn<D, T>::forward(const ConvolutionShape& s, const T* x, const T* W, const T* b,
                                  const formulas::Activation* f, T* y) {
  const auto guard = device_.use();
  const auto run = [&]<class F>(const F& g) {
    map_index(device_, s.batch * s.filters * s.out_plane(), y, Forward<T, F>{s, x, W, b, g});
  };
  f ? std::visit(run, *f) : run(formulas::Identity());
}

template <class D, class T>
void ConvolutionOn<D, T>::backward_input(const ConvolutionShape& s, const T* dy, const T* W, const T* b, T* dx) {
  const auto guard = device_.use();
  map_index(device_, s.batch * s.channels * s.in_plane(), dx, BackwardInput<T>{s, dy, W, b});
}

template <class D, class T>
void ConvolutionOn<D, T>::backward_weight(const ConvolutionShape& s, const T* x, const T* dy, Gradient<T> dW) {
  const auto guard = device_.use();
  column_sums<1>(device_, s.batch * s.out_plane(), s.filters * s.terms(), BackwardWeight<T>{s, x, dy},
                 Accumulate<T>{dW});
}

template <class D, class T>
void ConvolutionOn<D, T>::backward_bias(std::size_t batch, std::size_t filters, std::size_t plane, const T* dy,
                                        Gradient<T> db) {
  const auto guard = device_.use();
  column_sums<1>(device_, batch * plane, filters, BackwardBias<T>{filters, plane, dy}, Accumulate<T>{db});
}

template class ConvolutionOn<cuda::Context, float>;
template class ConvolutionOn<cuda::Context, double>;

}  // namespace handgrad::kernels
