#pragma once
// Building blocks of kernels: loops over elements in packs of 16 bytes, sums and maxima over a warp or block, sums over
// the columns of a matrix. The order of every sum depends on the shape only: no floating-point atomics.
#include <algorithm>
#include <cstddef>
#include <cstdint>

#include "kernels/cuda/context.hpp"

namespace handgrad::kernels::cuda {

constexpr unsigned warp = 32, threads = 256;
constexpr unsigned all_lanes = 0xffffffffu;

// --- Elements ---------------------------------------------------------------------------------------------------

template <class T>
struct alignas(16) Pack {
  static constexpr std::size_t width = 16 / sizeof(T);
  T at[width];
};

template <class T, class F, class... P>
__device__ inline Pack<T> map_pack(const F& f, const P... packs) {
  Pack<T> result;
#pragma unroll
  for (std::size_t k = 0; k < Pack<T>::width; ++k) result.at[k] = f(packs.at[k]...);
  return result;
}

template <class... P>
__host__ __device__ inline bool aligned(const P*... addresses) {
  return ((reinterpret_cast<std::uintptr_t>(addresses) | ...) & 15) == 0;
}

// out[i] = f(in[i]…); out may be one of in.
template <class T, class F, class... In>
__global__ void __launch_bounds__(threads) map_kernel(std::size_t n, T* out, F f, const In*... in) {
  const std::size_t first = std::size_t{blockIdx.x} * blockDim.x + threadIdx.x,
                    step = std::size_t{gridDim.x} * blockDim.x;
  const std::size_t packs = aligned(out, in...) ? n / Pack<T>::width : 0;
  for (std::size_t i = first; i < packs; i += step)
    reinterpret_cast<Pack<T>*>(out)[i] = map_pack<T>(f, reinterpret_cast<const Pack<In>*>(in)[i]...);
  for (std::size_t i = packs * Pack<T>::width + first; i < n; i += step) out[i] = f(in[i]...);
}

template <class T, class F, class... In>
void map(Context& context, std::size_t n, T* out, F f, const In*... in) {
  if (n == 0) return;
  const std::size_t items = (n + Pack<T>::width - 1) / Pack<T>::width;
  context.launch(map_kernel<T, F, In...>, blocks_for(items, threads, context.most_blocks()), threads, n, out, f, in...);
}

// out[i] = f(i), where f needs the position.
template <class T, class F>
__global__ void __launch_bounds__(threads) index_kernel(std::size_t n, T* out, F f) {
  const std::size_t step = std::size_t{gridDim.x} * blockDim.x;
  for (std::size_t i = std::size_t{blockIdx.x} * blockDim.x + threadIdx.x; i < n; i += step) out[i] = f(i);
}

template <class T, class F>
void map_index(Context& context, std::size_t n, T* out, F f) {
  if (n == 0) return;
  context.launch(index_kernel<T, F>, blocks_for(n, threads, context.most_blocks()), threads, n, out, f);
}

/// The number of a block's threads that work side by side on `items` columns: a power of two, at most a warp.
inline unsigned block_width(std::size_t items) {
  unsigned width = 1;
  while (width < warp && width < items) width *= 2;
  return width;
}

/// Row and column of element i of a matrix; avoids slow 64-bit division where 32 bits suffice.
struct Place {
  std::size_t row, column;
};
__device__ inline Place place_of(std::size_t i, std::size_t columns) {
  if ((i | columns) >> 32 == 0) {
    const auto j = static_cast<std::uint32_t>(i), c = static_cast<std::uint32_t>(columns);
    return {j / c, j % c};
  }
  return {i / columns, i % columns};
}

// out[i, j] = f.column(j)(i, in[i, j]…). Each thread keeps W columns and their data, and goes down the rows.
template <std::size_t W, class T, class F, class... In>
__global__ void __launch_bounds__(threads)
    column_map_kernel(std::size_t rows, std::size_t columns, T* out, F f, const In*... in) {
  const std::size_t first = W * (std::size_t{blockIdx.x} * blockDim.x + threadIdx.x);
  if (first >= columns) return;
  decltype(f.column(first)) column[W];
#pragma unroll
  for (std::size_t k = 0; k < W; ++k) column[k] = f.column(first + k);
  for (std::size_t row = std::size_t{blockIdx.y} * blockDim.y + threadIdx.y; row < rows;
       row += std::size_t{gridDim.y} * blockDim.y) {
    const std::size_t at = row * columns + first;
    if constexpr (W == 1) {
      out[at] = column[0](row, in[at]...);
    } else {
      const auto of_pack = [&](const Pack<In>... packs) {
        Pack<T> result;
#pragma unroll
        for (std::size_t k = 0; k < W; ++k) result.at[k] = column[k](row, packs.at[k]...);
        return result;
      };
      *reinterpret_cast<Pack<T>*>(out + at) = of_pack(*reinterpret_cast<const Pack<In>*>(in + at)...);
    }
  }
}

template <class T, class F, class... In>
void map_columns(Context& context, std::size_t rows, std::size_t columns, T* out, F f, const In*... in) {
  if (rows == 0 || columns == 0) return;
  constexpr std::size_t W = Pack<T>::width;
  const bool packs = columns % W == 0 && aligned(out, in...);
  const std::size_t items = packs ? columns / W : columns;
  const unsigned width = block_width(items), lines = threads / width;
  const unsigned column_blocks = static_cast<unsigned>((items + width - 1) / width);
  const unsigned row_blocks = blocks_for(rows, lines, std::max(context.most_blocks() / column_blocks, 1u));
  context.launch(packs ? column_map_kernel<W, T, F, In...> : column_map_kernel<1, T, F, In...>,
                 dim3(column_blocks, row_blocks), dim3(width, lines), rows, columns, out, f, in...);
}

// --- Sums and maxima --------------------------------------------------------------------------------------------

struct Plus {
  template <class V>
  __device__ V operator()(V a, V b) const {
    return a + b;
  }
};
struct Maximum {
  template <class V>
  __device__ V operator()(V a, V b) const {
    return a != a ? a : b > a || b != b ? b : a;  // NaN stays NaN
  }
};

/// Reduces one value per lane; every lane gets the same bits.
template <class V, class Op>
__device__ inline V over_warp(V value, Op op) {
#pragma unroll
  for (unsigned distance = warp / 2; distance > 0; distance /= 2)
    value = op(value, __shfl_xor_sync(all_lanes, value, distance));
  return value;
}

/// G threads that work on one row: a warp, or a whole block of `threads`.
template <unsigned G>
struct Group {
  static_assert(G == warp || G == threads);
  static constexpr unsigned in_block = threads / G;
  unsigned lane = threadIdx.x % G;
  unsigned index = threadIdx.x / G;
  /// Reduces one value per thread of the group; every thread gets the result. All threads of the group must call this.
  template <class V, class Op>
  __device__ V over(V value, Op op) const {
    value = over_warp(value, op);
    if constexpr (G == threads) {
      __shared__ V part[threads / warp];
      if (threadIdx.x % warp == 0) part[threadIdx.x / warp] = value;
      __syncthreads();
      value = part[0];
      for (unsigned i = 1; i < threads / warp; ++i) value = op(value, part[i]);
      __syncthreads();  // before the next call writes `part`
    }
    return value;
  }
  template <class V>
  __device__ V sum(V value) const {
    return over(value, Plus());
  }
  template <class V>
  __device__ V max(V value) const {
    return over(value, Maximum());
  }
};

/// Short rows get a warp each, long ones a block: so few are then worked on at a time that the L1 cache holds them
/// between two passes.
constexpr std::size_t long_row = 1024;
template <unsigned G>
unsigned row_blocks(const Context& context, std::size_t rows) {
  return blocks_for(rows, Group<G>::in_block, context.most_blocks());
}

// Each block's Σ f(i), in double. A single block calls finish(Σ) itself.
template <class F, class Finish>
__global__ void __launch_bounds__(threads) sum_kernel(std::size_t n, double* partial, F f, Finish finish) {
  const Group<threads> block;
  const std::size_t step = std::size_t{gridDim.x} * blockDim.x;
  double sum = 0;
#pragma unroll 4  // several loads at a time
  for (std::size_t i = std::size_t{blockIdx.x} * blockDim.x + threadIdx.x; i < n; i += step)
    sum += static_cast<double>(f(i));
  sum = block.sum(sum);
  if (threadIdx.x != 0) return;
  if (gridDim.x == 1)
    finish(sum);
  else
    partial[blockIdx.x] = sum;
}

struct Partial {
  const double* sums;
  __device__ double operator()(std::size_t i) const { return sums[i]; }
};

/// finish(Σ f(i)) over i < n, on the device.
template <class F, class Finish>
void sum(Context& context, std::size_t n, F f, Finish finish) {
  constexpr std::size_t one_block = 8192;
  const unsigned blocks = n <= one_block ? 1 : blocks_for(n, 4 * threads, context.most_blocks());
  double* partial = blocks == 1 ? nullptr : context.scratch<double>(blocks);
  context.launch(sum_kernel<F, Finish>, blocks, threads, n, partial, f, finish);
  if (blocks > 1)
    context.launch(sum_kernel<Partial, Finish>, 1, threads, std::size_t{blocks}, nullptr, Partial{partial}, finish);
}

/// *value = a·Σ
template <class T>
struct StoreScaled {
  T* value;
  double a;
  __device__ void operator()(double sum) const { *value = static_cast<T>(a * sum); }
};

// --- Sums over columns ------------------------------------------------------------------------------------------

/// K sums made in one pass over a matrix.
template <int K>
struct Sums {
  double of[K];
};

// A block is `blockDim.x` columns wide; its blockDim.y lines of threads share the rows of chunk blockIdx.y.
template <int K, class F, class Finish>
__global__ void __launch_bounds__(threads)
    column_kernel(std::size_t rows, std::size_t columns, std::size_t chunk, double* partial, F f, Finish finish) {
  __shared__ double shared[K][threads];
  const unsigned width = blockDim.x, line = threadIdx.y, self = line * width + threadIdx.x;
  const std::size_t column = std::size_t{blockIdx.x} * width + threadIdx.x;
  const std::size_t begin = blockIdx.y * chunk, end = begin + chunk < rows ? begin + chunk : rows;
  Sums<K> sums{};
  if (column < columns) {
#pragma unroll 4  // as above
    for (std::size_t row = begin + line; row < end; row += blockDim.y) {
      const Sums<K> terms = f(row, column);
      for (int k = 0; k < K; ++k) sums.of[k] += terms.of[k];
    }
  }
  for (int k = 0; k < K; ++k) shared[k][self] = sums.of[k];
  for (unsigned lines = blockDim.y / 2; lines > 0; lines /= 2) {
    __syncthreads();
    if (line < lines)
      for (int k = 0; k < K; ++k) shared[k][self] += shared[k][self + lines * width];
  }
  if (line != 0 || column >= columns) return;
  for (int k = 0; k < K; ++k) sums.of[k] = shared[k][self];
  if (gridDim.y == 1)
    finish(column, sums);
  else
    for (int k = 0; k < K; ++k) partial[(std::size_t{blockIdx.y} * K + k) * columns + column] = sums.of[k];
}

template <int K, class Finish>
__global__ void __launch_bounds__(threads)
    column_finish_kernel(std::size_t columns, std::size_t chunks, const double* partial, Finish finish) {
  const std::size_t column = std::size_t{blockIdx.x} * blockDim.x + threadIdx.x;
  if (column >= columns) return;
  Sums<K> sums{};
  for (std::size_t c = 0; c < chunks; ++c)
    for (int k = 0; k < K; ++k) sums.of[k] += partial[(c * K + k) * columns + column];
  finish(column, sums);
}

/// The partition of a matrix for sums over its columns.
struct ColumnGeometry {
  unsigned width, lines, column_blocks, chunks;
  std::size_t rows_per_chunk;
};
inline ColumnGeometry column_geometry(std::size_t rows, std::size_t columns, unsigned most_blocks) {
  const unsigned width = block_width(columns), lines = threads / width;
  const auto column_blocks = static_cast<unsigned>((columns + width - 1) / width);
  constexpr std::size_t rows_per_thread = 32;  // from here on, a chunk is worth its own block
  std::size_t chunks = (rows + lines * rows_per_thread - 1) / (lines * rows_per_thread);
  const std::size_t most_chunks = most_blocks > column_blocks ? most_blocks / column_blocks : 1;
  if (chunks > most_chunks) chunks = most_chunks;
  const std::size_t per_chunk = (rows + chunks - 1) / chunks;
  return {width, lines, column_blocks, static_cast<unsigned>((rows + per_chunk - 1) / per_chunk), per_chunk};
}

/// finish(j, Σᵢ f(i, j)) for each column j of a matrix with at least one row; f gives K terms, finish takes K sums.
template <int K, class F, class Finish>
void column_sums(Context& context, std::size_t rows, std::size_t columns, F f, Finish finish) {
  const ColumnGeometry g = column_geometry(rows, columns, context.most_blocks());
  double* partial = g.chunks == 1 ? nullptr : context.scratch<double>(std::size_t{g.chunks} * K * columns);
  context.launch(column_kernel<K, F, Finish>, dim3(g.column_blocks, g.chunks), dim3(g.width, g.lines), rows, columns,
                 g.rows_per_chunk, partial, f, finish);
  if (g.chunks > 1)
    context.launch(column_finish_kernel<K, Finish>, static_cast<unsigned>((columns + threads - 1) / threads), threads,
                   columns, std::size_t{g.chunks}, static_cast<const double*>(partial), finish);
}

}  // namespace handgrad::kernels::cuda
