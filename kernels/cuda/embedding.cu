#include "kernels/embedding.hpp"

#include "kernels/cuda/device.hpp"

namespace handgrad::kernels {

using namespace cuda;

namespace {

// Whether i is the number of a row. If not, its place t is noted: (t, i) in one word, so that the lowest t is the
// smallest.
template <class T>
__device__ bool is_row(T i, std::size_t rows, std::size_t t, unsigned long long* error) {
  if (i >= T(0) && i < static_cast<T>(rows) && i == floor(i)) return true;
  atomicMin(error, static_cast<unsigned long long>(t) << 32 | __float_as_uint(static_cast<float>(i)));
  return false;
}

template <class T>
struct TableRow {
  const T *indices, *table;
  std::size_t rows, columns;
  unsigned long long* error;
  __device__ T operator()(std::size_t at) const {
    const auto [t, column] = place_of(at, columns);
    const T i = indices[t];
    return is_row(i, rows, t, error) ? table[static_cast<std::size_t>(i) * columns + column] : static_cast<T>(NAN);
  }
};

// Where an index occurs often, its places are summed in two steps, so that no thread has more than n/group_size +
// group_size of them to add, and always in the same order: within each group of places, then over the groups.
constexpr std::size_t group_size = 128, none = ~std::size_t{0}, not_first = none - 1;

// Three numbers for each t: the next place of its index in its group; if it is the first there, the first place in a
// later group; and whether it is the first of all.
template <class T>
struct SamePlaces {
  const T* indices;
  std::size_t n;
  __device__ std::size_t operator()(std::size_t at) const {
    const std::size_t t = at % n, begin = t / group_size * group_size,
                      end = begin + group_size < n ? begin + group_size : n;
    if (at < n) return next(t + 1, end, indices[t]);
    if (at < 2 * n) return next(begin, t, indices[t]) == none ? next(end, n, indices[t]) : not_first;
    return next(0, t, indices[t]) == none ? none : not_first;
  }
  __device__ std::size_t next(std::size_t from, std::size_t to, T index) const {
    for (std::size_t s = from; s < to; ++s)
      if (indices[s] == index) return s;
    return none;
  }
};

// For the first place of an index in each group, the sum over the group.
template <class T>
struct GroupSum {
  std::size_t n, columns;
  const std::size_t* places;
  const T* dy;
  __device__ T operator()(std::size_t at) const {
    const auto [t, column] = place_of(at, columns);
    if (places[n + t] == not_first) return T(0);
    double sum = 0;
    for (std::size_t s = t; s != none; s = places[s]) sum += static_cast<double>(dy[s * columns + column]);
    return static_cast<T>(sum);
  }
};

// The first place of an index adds for all of them, so that no two threads write to one row.
template <class T>
__global__ void __launch_bounds__(threads)
    add_rows_kernel(std::size_t n, std::size_t rows, std::size_t columns, std::size_t padding, const T* indices,
                    const std::size_t* places, const T* sums, T* dE, unsigned long long* error) {
  const std::size_t step = std::size_t{gridDim.x} * blockDim.x;
  for (std::size_t at = std::size_t{blockIdx.x} * blockDim.x + threadIdx.x; at < n * columns; at += step) {
    const auto [t, column] = place_of(at, columns);
    const T i = indices[t];
    if (places[2 * n + t] == not_first || !is_row(i, rows, t, error)) continue;
    const auto k = static_cast<std::size_t>(i);
    if (k == padding) continue;
    double sum = 0;
    for (std::size_t s = t; s != none; s = places[n + s]) sum += static_cast<double>(sums[s * columns + column]);
    T& to = dE[k * columns + column];
    to = static_cast<T>(static_cast<double>(to) + sum);
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
  const std::size_t n = indices.size, size = n * dE.columns;
  auto* places = device_.template scratch<std::size_t>(3 * n + size);
  T* sums = reinterpret_cast<T*>(places + 3 * n);
  map_index(device_, 3 * n, places, SamePlaces<T>{indices.data, n});
  map_index(device_, size, sums, GroupSum<T>{n, dE.columns, places, dy.data});
  device_.launch(add_rows_kernel<T>, blocks_for(size, threads, device_.most_blocks()), threads, n, dE.rows, dE.columns,
                 padding, indices.data, static_cast<const std::size_t*>(places), static_cast<const T*>(sums), dE.data,
                 device_.class_error(dE.rows));
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
