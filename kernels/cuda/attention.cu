#include "kernels/attention.hpp"

#include <limits>

#include "kernels/cuda/device.hpp"
#include "kernels/formulas/math.hpp"

namespace handgrad::kernels {

using namespace cuda;

namespace {

// Queries top … top + rows − 1 of every head: their S, P and dS have tasks·rows rows of T keys. If P is kept, these are
// all queries, otherwise at most `tile` at a time.
constexpr std::size_t tile = 64;

template <class T>
struct Queries {
  AttentionShape shape;
  AttentionRule<T> rule;
  const T* qkv;
  std::size_t top, rows;

  // The same as shape's, which are not device code.
  __device__ std::size_t columns() const { return shape.heads * shape.width; }
  __device__ std::size_t all_rows() const { return shape.batch * shape.heads * rows; }
  // Row i of the tile: which head of which sequence, and which query.
  struct Row {
    std::size_t task, n, h, t;
  };
  __device__ Row row(std::size_t i) const {
    const std::size_t task = i / rows;
    return {task, task / shape.heads, task % shape.heads, top + i % rows};
  }
  // The head's query, key or value at t (part 0, 1 or 2).
  __device__ const T* of(std::size_t part, std::size_t n, std::size_t h, std::size_t t) const {
    return qkv + (shape.row(n, t) * 3 + part) * columns() + h * shape.width;
  }
  // The head's place at t in a matrix of E columns.
  __device__ std::size_t place(std::size_t n, std::size_t h, std::size_t t) const {
    return shape.row(n, t) * columns() + h * shape.width;
  }
  __device__ bool sees(const Row& r, std::size_t j) const {
    return !(rule.causal && j > r.t) && !(rule.padding && rule.padding[r.n * shape.length + j] != T(0));
  }
  // Sᵢⱼ = τ·Σ_c Qᵢ·Kⱼ, or −∞
  __device__ T score(const Row& r, std::size_t j) const {
    if (!sees(r, j)) return -std::numeric_limits<T>::infinity();
    return dot(of(0, r.n, r.h, r.t), of(1, r.n, r.h, j)) * rule.scale;
  }
  __device__ T dot(const T* a, const T* b) const {
    T sum = 0;
    for (std::size_t c = 0; c < shape.width; ++c) sum += a[c] * b[c];
    return sum;
  }
  // The dropout factor of Pᵢⱼ: 0 or 1/(1−p).
  __device__ T kept(const Row& r, std::size_t j) const {
    const formulas::Dropout& dropout = rule.dropout;
    if (!(dropout.p > 0)) return T(1);
    if (dropout.p >= 1) return T(0);
    const std::uint64_t e = (std::uint64_t{r.task} * shape.length + r.t) * shape.length + j;
    const auto step = static_cast<std::uint32_t>(static_cast<std::uint64_t>(*rule.step));
    return dropout.words(e / 4, step).word[e % 4] < dropout.threshold() ? T(0) : static_cast<T>(dropout.scale());
  }
};

// P = softmax(S) by rows, and the m and l of each; a row of −∞ gives zeros.
template <class T>
__global__ void __launch_bounds__(threads) probabilities_kernel(Queries<T> queries, T* P, T* m_of, T* l_of) {
  const Group<warp> group;
  const std::size_t length = queries.shape.length, rows = queries.all_rows();
  for (std::size_t i = std::size_t{blockIdx.x} * group.in_block + group.index; i < rows;
       i += std::size_t{gridDim.x} * group.in_block) {
    const auto r = queries.row(i);
    T* p = P + i * length;
    T m = -std::numeric_limits<T>::infinity(), l = 0;
    for (std::size_t j = group.lane; j < length; j += warp) {
      p[j] = queries.score(r, j);
      m = Maximum()(m, p[j]);
    }
    m = group.max(m);
    const bool nothing = m == -std::numeric_limits<T>::infinity();
    for (std::size_t j = group.lane; j < length; j += warp) {
      p[j] = nothing ? T(0) : formulas::exp(p[j] - m);
      l += p[j];
    }
    l = group.sum(l);
    for (std::size_t j = group.lane; j < length; j += warp) p[j] = nothing ? T(0) : p[j] / l;
    if (group.lane == 0) {
      m_of[r.task * length + r.t] = m;
      l_of[r.task * length + r.t] = l;
    }
  }
}

// The same, from the forward's m and l.
template <class T>
struct Probability {
  Queries<T> queries;
  const T *m, *l;
  __device__ T operator()(std::size_t at) const {
    const std::size_t length = queries.shape.length;
    const auto [i, j] = place_of(at, length);
    const auto r = queries.row(i);
    const std::size_t of = r.task * length + r.t;
    if (!queries.sees(r, j)) return T(0);
    return formulas::exp(queries.score(r, j) - m[of]) / l[of];
  }
};

// O = P̃·V, for the tile's queries
template <class T>
__global__ void __launch_bounds__(threads) output_kernel(Queries<T> queries, const T* P, T* y) {
  const std::size_t length = queries.shape.length, width = queries.shape.width;
  const std::size_t count = queries.all_rows() * width, step = std::size_t{gridDim.x} * blockDim.x;
  for (std::size_t at = std::size_t{blockIdx.x} * blockDim.x + threadIdx.x; at < count; at += step) {
    const auto [i, c] = place_of(at, width);
    const auto r = queries.row(i);
    T sum = 0;
    for (std::size_t j = 0; j < length; ++j)
      sum += P[i * length + j] * queries.kept(r, j) * queries.of(2, r.n, r.h, j)[c];
    y[queries.place(r.n, r.h, r.t) + c] = sum;
  }
}

// D = Σ δ_O∘O, for the tile's queries
template <class T>
struct RowSum {
  Queries<T> queries;
  const T *y, *dy;
  __device__ T operator()(std::size_t i) const {
    const auto r = queries.row(i);
    const std::size_t at = queries.place(r.n, r.h, r.t);
    return queries.dot(y + at, dy + at);
  }
};

// dS = P∘(dP − D),  dP = δ_O·Vᵀ, dropped out like P
template <class T>
struct ScoreGradient {
  Queries<T> queries;
  const T *P, *D, *dy;
  __device__ T operator()(std::size_t at) const {
    const auto [i, j] = place_of(at, queries.shape.length);
    const auto r = queries.row(i);
    const T dP = queries.dot(dy + queries.place(r.n, r.h, r.t), queries.of(2, r.n, r.h, j)) * queries.kept(r, j);
    return P[at] * (dP - D[i]);
  }
};

// dQ = τ·dS·K for the tile's queries;  dK = τ·dSᵀ·Q and dV = P̃ᵀ·δ_O: the tile's share for all keys and values.
template <class T>
struct InputGradient {
  Queries<T> queries;
  const T *P, *dS, *dy, *before;
  __device__ T operator()(std::size_t at) const {
    const AttentionShape& shape = queries.shape;
    const std::size_t length = shape.length, E = queries.columns();
    const auto [row, column] = place_of(at, 3 * E);
    const std::size_t n = shape.batch_first ? row / length : row % shape.batch,
                      t = shape.batch_first ? row % length : row / shape.batch;
    const std::size_t part = column / E, h = column % E / shape.width, c = column % shape.width;
    const std::size_t first = (n * shape.heads + h) * queries.rows;  // the head's first row in P and dS
    T sum = 0;
    if (part == 0) {
      if (t < queries.top || t >= queries.top + queries.rows) return queries.top == 0 ? T(0) : before[at];
      const T* dS_row = dS + (first + t - queries.top) * length;
      for (std::size_t j = 0; j < length; ++j) sum += dS_row[j] * queries.of(1, n, h, j)[c];
      return sum * queries.rule.scale;
    }
    for (std::size_t i = first; i < first + queries.rows; ++i) {
      const auto r = queries.row(i);
      sum += part == 1 ? dS[i * length + t] * queries.of(0, n, h, r.t)[c]
                       : P[i * length + t] * queries.kept(r, t) * dy[queries.place(n, h, r.t) + c];
    }
    if (part == 1) sum *= queries.rule.scale;
    return queries.top == 0 ? sum : before[at] + sum;
  }
};

// f(queries), for all at once if P is kept, else tile by tile.
template <class T, class F>
void each_tile(const AttentionShape& shape, const AttentionRule<T>& rule, const T* qkv, bool kept, F f) {
  const std::size_t rows = kept ? shape.length : tile;
  for (std::size_t top = 0; top < shape.length; top += rows)
    f(Queries<T>{shape, rule, qkv, top, std::min(rows, shape.length - top)});
}

}  // namespace

template <class D, class T>
void AttentionOn<D, T>::forward(const AttentionShape& shape, const AttentionRule<T>& rule, Matrix<const T> qkv,
                                Matrix<T> P, Matrix<T> stats, Matrix<T> y) {
  const auto guard = device_.use();
  T* room = P ? P.data : device_.template scratch<T>(shape.tasks() * std::min(tile, shape.length) * shape.length);
  each_tile(shape, rule, qkv.data, bool(P), [&](const Queries<T>& queries) {
    const std::size_t rows = shape.tasks() * queries.rows;
    device_.launch(probabilities_kernel<T>, row_blocks<warp>(device_, rows), threads, queries, room, stats.data,
                   stats.data + stats.columns);
    device_.launch(output_kernel<T>, blocks_for(rows * shape.width, threads, device_.most_blocks()), threads, queries,
                   static_cast<const T*>(room), y.data);
  });
}

template <class D, class T>
void AttentionOn<D, T>::backward(const AttentionShape& shape, const AttentionRule<T>& rule, Matrix<const T> qkv,
                                 Matrix<const T> P, Matrix<const T> stats, Matrix<const T> y, Matrix<const T> dy,
                                 Matrix<T> dqkv) {
  const auto guard = device_.use();
  const std::size_t most = shape.tasks() * (P ? shape.length : std::min(tile, shape.length));
  T *rowsum = device_.template scratch<T>(most + (P ? 1 : 2) * most * shape.length), *dS = rowsum + most,
    *room = dS + most * shape.length;
  each_tile(shape, rule, qkv.data, bool(P), [&](const Queries<T>& queries) {
    const std::size_t rows = shape.tasks() * queries.rows;
    if (!P)
      map_index(device_, rows * shape.length, room, Probability<T>{queries, stats.data, stats.data + stats.columns});
    const T* p = P ? P.data : room;
    map_index(device_, rows, rowsum, RowSum<T>{queries, y.data, dy.data});
    map_index(device_, rows * shape.length, dS, ScoreGradient<T>{queries, p, rowsum, dy.data});
    map_index(device_, dqkv.size(), dqkv.data, InputGradient<T>{queries, p, dS, dy.data, dqkv.data});
  });
}

template class AttentionOn<cuda::Context, float>;
template class AttentionOn<cuda::Context, double>;

}  // namespace handgrad::kernels
