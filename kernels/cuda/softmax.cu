#include "kernels/softmax.hpp"

#include "kernels/cuda/device.hpp"
#include "kernels/cuda/line_sum.hpp"

namespace handgrad::kernels {

using namespace cuda;

namespace {

// The four operations on a line, for a Row or Strided g.

// yⱼ = e^(zⱼ−m) / Σₖ e^(zₖ−m),  m = max z
struct SoftmaxForward {
  template <class T, class G>
  __device__ void operator()(const G& g, std::size_t n, const T* z, const T*, T* y) const {
    const auto [m, beyond_one] = line_sum(g, n, z);
    const T sum = T(1) + beyond_one;
    for (std::size_t j = g.lane; j < n; j += g.lanes) y[g.at(j)] = formulas::exp(formulas::below(z[g.at(j)], m)) / sum;
  }
};

// dzᵢ = yᵢ(δᵢ − Σⱼ δⱼyⱼ)
struct SoftmaxBackward {
  template <class T, class G>
  __device__ void operator()(const G& g, std::size_t n, const T* y, const T* dy, T* dz) const {
    double total = 0;
    for (std::size_t j = g.lane; j < n; j += g.lanes)
      total += static_cast<double>(dy[g.at(j)]) * static_cast<double>(y[g.at(j)]);
    const T sum = static_cast<T>(g.sum(total));
    for (std::size_t j = g.lane; j < n; j += g.lanes) dz[g.at(j)] = y[g.at(j)] * (dy[g.at(j)] - sum);
  }
};

// yⱼ = (zⱼ−m) − log Σₖ e^(zₖ−m),  m = max z
struct LogSoftmaxForward {
  template <class T, class G>
  __device__ void operator()(const G& g, std::size_t n, const T* z, const T*, T* y) const {
    const auto [m, beyond_one] = line_sum(g, n, z);
    const T log_sum = formulas::log1p(beyond_one);
    for (std::size_t j = g.lane; j < n; j += g.lanes) y[g.at(j)] = formulas::below(z[g.at(j)], m) - log_sum;
  }
};

// dzᵢ = δᵢ − e^(yᵢ)·Σⱼ δⱼ
struct LogSoftmaxBackward {
  template <class T, class G>
  __device__ void operator()(const G& g, std::size_t n, const T* y, const T* dy, T* dz) const {
    double total = 0;
    for (std::size_t j = g.lane; j < n; j += g.lanes) total += static_cast<double>(dy[g.at(j)]);
    const T sum = static_cast<T>(g.sum(total));
    for (std::size_t j = g.lane; j < n; j += g.lanes)
      dz[g.at(j)] = formulas::log_softmax_gradient(y[g.at(j)], dy[g.at(j)], sum);
  }
};

// A line whose elements are `step` apart: one thread works on it, and its neighbours on the adjacent lines.
struct Strided {
  std::size_t step;
  static constexpr std::size_t lane = 0, lanes = 1;
  __device__ std::size_t at(std::size_t j) const { return j * step; }
  template <class T>
  __device__ static T sum(T v) {
    return v;
  }
  template <class T>
  __device__ static T max(T v) {
    return v;
  }
};

template <unsigned G, class F, class T>
__global__ void __launch_bounds__(threads)
    row_kernel(std::size_t rows, std::size_t n, F f, const T* a, const T* b, T* out) {
  const Row<G> row;
  for (std::size_t i = std::size_t{blockIdx.x} * Group<G>::in_block + row.group.index; i < rows;
       i += std::size_t{gridDim.x} * Group<G>::in_block)
    f(row, n, a + i * n, b + i * n, out + i * n);
}

template <class F, class T>
__global__ void __launch_bounds__(threads)
    strided_kernel(std::size_t lines, std::size_t n, std::size_t inner, F f, const T* a, const T* b, T* out) {
  const std::size_t step = std::size_t{gridDim.x} * blockDim.x;
  for (std::size_t i = std::size_t{blockIdx.x} * blockDim.x + threadIdx.x; i < lines; i += step) {
    const std::size_t first = i / inner * n * inner + i % inner;
    f(Strided{inner}, n, a + first, b + first, out + first);
  }
}

// b is read by the backward operations only.
template <class F, class T>
void along(Context& context, F f, Lines<const T> l, const T* b, T* out) {
  const auto guard = context.use();
  const T* a = l.data;
  if (l.inner > 1)
    context.launch(strided_kernel<F, T>, blocks_for(l.outer * l.inner, threads, context.most_blocks()), threads,
                   l.outer * l.inner, l.size, l.inner, f, a, b, out);
  else if (l.size > long_row)
    context.launch(row_kernel<threads, F, T>, row_blocks<threads>(context, l.outer), threads, l.outer, l.size, f, a, b,
                   out);
  else
    context.launch(row_kernel<warp, F, T>, row_blocks<warp>(context, l.outer), threads, l.outer, l.size, f, a, b, out);
}

}  // namespace

template <class D, class T>
void SoftmaxOn<D, T>::forward(Lines<const T> z, Lines<T> y) {
  along(device_, SoftmaxForward(), z, z.data, y.data);
}

template <class D, class T>
void SoftmaxOn<D, T>::backward(Lines<const T> y, Lines<const T> dy, Lines<T> dz) {
  along(device_, SoftmaxBackward(), y, dy.data, dz.data);
}

template <class D, class T>
void SoftmaxOn<D, T>::log_forward(Lines<const T> z, Lines<T> y) {
  along(device_, LogSoftmaxForward(), z, z.data, y.data);
}

template <class D, class T>
void SoftmaxOn<D, T>::log_backward(Lines<const T> y, Lines<const T> dy, Lines<T> dz) {
  along(device_, LogSoftmaxBackward(), y, dy.data, dz.data);
}

template class SoftmaxOn<cuda::Context, float>;
template class SoftmaxOn<cuda::Context, double>;

}  // namespace handgrad::kernels
