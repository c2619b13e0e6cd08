#include "kernels/pooling.hpp"

#include <limits>

#include "kernels/cuda/device.hpp"

namespace handgrad::kernels {

using namespace cuda;

namespace {

// y[i,j] = max over u, v of x[h,w], at = its place: one thread per window
template <class T>
struct MaxForward {
  PoolingShape s;
  T lowest;
  const T* x;
  T* at;
  __device__ T operator()(std::size_t k) const {
    const std::size_t j = k % s.columns.out, i = k / s.columns.out % s.rows.out;
    const T* plane = x + k / s.out_plane() * s.in_plane();
    T most = lowest;
    std::size_t where = 0;
    bool found = false;
    for (std::size_t u = 0; u < s.rows.kernel; ++u)
      for (std::size_t v = 0; v < s.columns.kernel; ++v) {
        const std::size_t h = s.rows.input(i, u), w = s.columns.input(j, v);
        if (h >= s.rows.in || w >= s.columns.in) continue;
        const T value = plane[h * s.columns.in + w];
        if (found && !(value > most || value != value)) continue;
        most = value;
        where = u * s.columns.kernel + v;
        found = true;
      }
    at[k] = static_cast<T>(where);
    return most;
  }
};

// dx[h,w] = Σ δ[i,j] over the windows whose maximum it is: one thread per input, in the order of the windows
template <class T>
struct MaxBackward {
  PoolingShape s;
  const T *dy, *at;
  __device__ T operator()(std::size_t k) const {
    const std::size_t w = k % s.columns.in, h = k / s.columns.in % s.rows.in, plane = k / s.in_plane() * s.out_plane();
    T sum = 0;
    for (std::size_t i = s.rows.first_output(h); i < s.rows.end_output(h); ++i)
      for (std::size_t j = s.columns.first_output(w); j < s.columns.end_output(w); ++j) {
        const std::size_t window = plane + i * s.columns.out + j, where = static_cast<std::size_t>(at[window]);
        if (s.rows.input(i, where / s.columns.kernel) == h && s.columns.input(j, where % s.columns.kernel) == w)
          sum += dy[window];
      }
    return sum;
  }
};

// y[i,j] = Σ x[h,w] / divisor
template <class T>
struct AverageForward {
  PoolingShape s;
  formulas::Averaging how;
  const T* x;
  __device__ T operator()(std::size_t k) const {
    const formulas::Span down = span(s.rows, k / s.columns.out % s.rows.out, how),
                         across = span(s.columns, k % s.columns.out, how);
    const T* plane = x + k / s.out_plane() * s.in_plane();
    T sum = 0;
    for (std::size_t h = down.begin; h < down.end; ++h)
      for (std::size_t w = across.begin; w < across.end; ++w) sum += plane[h * s.columns.in + w];
    const bool none = down.begin == down.end || across.begin == across.end;
    return none ? T(0) : sum / static_cast<T>(divisor(down, across, how));
  }
};

// dx[h,w] = Σ δ[i,j] / divisor over the windows that contain it
template <class T>
struct AverageBackward {
  PoolingShape s;
  formulas::Averaging how;
  const T* dy;
  __device__ T operator()(std::size_t k) const {
    const std::size_t w = k % s.columns.in, h = k / s.columns.in % s.rows.in;
    const T* plane = dy + k / s.in_plane() * s.out_plane();
    T sum = 0;
    for (std::size_t i = first_output(s.rows, h, how); i < end_output(s.rows, h, how); ++i) {
      const formulas::Span down = span(s.rows, i, how);
      if (h < down.begin || h >= down.end) continue;
      for (std::size_t j = first_output(s.columns, w, how); j < end_output(s.columns, w, how); ++j) {
        const formulas::Span across = span(s.columns, j, how);
        if (w < across.begin || w >= across.end) continue;
        sum += plane[i * s.columns.out + j] / static_cast<T>(divisor(down, across, how));
      }
    }
    return sum;
  }
};

}  // namespace

template <class D, class T>
void PoolingOn<D, T>::max_forward(const PoolingShape& s, const T* x, T* y, T* at) {
  const auto guard = device_.use();
  map_index(device_, s.planes * s.out_plane(), y, MaxForward<T>{s, -std::numeric_limits<T>::infinity(), x, at});
}

template <class D, class T>
void PoolingOn<D, T>::max_backward(const PoolingShape& s, const T* dy, const T* at, T* dx) {
  const auto guard = device_.use();
  map_index(device_, s.planes * s.in_plane(), dx, MaxBackward<T>{s, dy, at});
}

template <class D, class T>
void PoolingOn<D, T>::average_forward(const PoolingShape& s, const formulas::Averaging& how, const T* x, T* y) {
  const auto guard = device_.use();
  map_index(device_, s.planes * s.out_plane(), y, AverageForward<T>{s, how, x});
}

template <class D, class T>
void PoolingOn<D, T>::average_backward(const PoolingShape& s, const formulas::Averaging& how, const T* dy, T* dx) {
  const auto guard = device_.use();
  map_index(device_, s.planes * s.in_plane(), dx, AverageBackward<T>{s, how, dy});
}

template class PoolingOn<cuda::Context, float>;
template class PoolingOn<cuda::Context, double>;

}  // namespace handgrad::kernels
