#include "kernels/embedding.hpp"

#include "kernels/cuda/device.hpp"

namespace handgrad::kernels {

using namespace cuda;

namespace {

template <class T>
struct TableRow {
  const T *indices, *table;
  std::size_t rows, columns;
  unsigned long long* error;
  __device__ T operator()(std::size_t at) const {
    const auto [t, column] = place_of(at, columns);
    const T i = indices[t];
    if (i >= T(0) && i < static_cast<T>(rows) && i == floor(i))
      return table[static_cast<std::size_t>(i) * columns + column];
    if (column == 0)  // (t, index) in one word, so that the lowest t is the smallest
      atomicMin(error, static_cast<unsigned long long>(t) << 32 | __float_as_uint(static_cast<float>(i)));
    return static_cast<T>(NAN);
  }
};

constexpr std::size_t none = ~std::size_t{0}, not_first = none - 1;

// For each t, the next place of the same index, or none; and after these, whether t is its first place.
template <class T>
struct SamePlaces {
  const T* indices;
  std::size_t n;
  __device__ std::size_t operator()(std::size_t at) const {
    const std::size_t t = at < n ? at : at - n;
    if (at < n) {
      for (std::size_t s = t + 1; s < n; ++s)
        if (indices[s] == indices[t]) return s;
      return none;
    }
    for (std::size_t s = 0; s < t; ++s)
      if (indices[s] == indices[t]) return not_first;
    return none;
  }
};

// The first place of an index adds for all of them, one after the other, so that no two threads write to one row.
template <class T>
__global__ void __launch_bounds__(threads)
    add_rows_kernel(std::size_t n, std::size_t rows, std::size_t columns, std::size_t padding, const T* indices,
                    const std::size_t* places, const T* dy, T* dE) {
  const std::size_t step = std::size_t{gridDim.x} * blockDim.x;
  for (std::size_t at = std::size_t{blockIdx.x} * blockDim.x + threadIdx.x; at < n * columns; at += step) {
    const auto [t, column] = place_of(at, columns);
    const T i = indices[t];
    if (places[n + t] == not_first || !(i >= T(0) && i < static_cast<T>(rows))) continue;
    const auto k = static_cast<std::size_t>(i);
    if (k == padding) continue;
    T sum = dE[k * columns + column];
    for (std::size_t s = t; s != none; s = places[s]) sum += dy[s * columns + column];
    dE[k * columns + column] = sum;
  }
}

template <class T>
struct PlusPosition {
  const T *x, *table;
  std::size_t columns, step, length;
  __device__ T operator()(std::size_t at) const {
    const auto [r, column] = place_of(at, columns);
    return x[at] + table[r / step % length * columns + column];
  }
};

}  // namespace

// yₜ = E[iₜ]
template <class D, class T>
std::optional<BadClass> EmbeddingOn<D, T>::forward(Vector<const T> indices, Matrix<const T> table, Matrix<T> y) {
  const auto guard = device_.use();
  map_index(device_, y.size(), y.data,
            TableRow<T>{indices.data, table.data, table.rows, table.columns, device_.class_error(table.rows)});
  return {};
}

// dE[iₜ] += δₜ
template <class D, class T>
void EmbeddingOn<D, T>::backward(Vector<const T> indices, Matrix<const T> dy, std::size_t padding, Matrix<T> dE,
                                 const TouchedRows&) {
  const auto guard = device_.use();
  const std::size_t n = indices.size;
  auto* places = device_.template scratch<std::size_t>(2 * n);
  map_index(device_, 2 * n, places, SamePlaces<T>{indices.data, n});
  device_.launch(add_rows_kernel<T>, blocks_for(n * dE.columns, threads, device_.most_blocks()), threads, n, dE.rows,
                 dE.columns, padding, indices.data, static_cast<const std::size_t*>(places), dy.data, dE.data);
}

// yᵣ = xᵣ + table[⌊r/step⌋ mod length]
template <class D, class T>
void EmbeddingOn<D, T>::add_positions(Matrix<const T> x, Matrix<const T> table, std::size_t step, std::size_t length,
                                      Matrix<T> y) {
  const auto guard = device_.use();
  map_index(device_, y.size(), y.data, PlusPosition<T>{x.data, table.data, x.columns, step, length});
}

template class EmbeddingOn<cuda::Context, float>;
template class EmbeddingOn<cuda::Context, double>;

}  // namespace handgrad::kernels
