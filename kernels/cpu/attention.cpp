#include "kernels/attention.hpp"

#include <algorithm>
#include <cstdint>
#include <limits>

#include "kernels/cpu/cpu.hpp"
#include "kernels/cpu/product.hpp"
#include "kernels/cpu/scratch.hpp"
#include "kernels/cpu/simd.hpp"
#include "kernels/cpu/threads.hpp"

namespace handgrad::kernels {

using namespace cpu;

namespace {

constexpr std::size_t tile = 64;  // queries, and keys, in a tile of S

// Head h of sequence n.
template <class T>
class Head {
 public:
  Head(const AttentionShape& shape, const AttentionRule<T>& rule, std::size_t task)
      : length(shape.length), width(shape.width), shape_(shape), rule_(rule), task_(task) {
    if (rule.padding) padding_ = rule.padding + task / shape.heads * length;
    if (padding_)
      while (first_seen_ < length && padding_[first_seen_] != T(0)) ++first_seen_;
    if (dropped()) count_ = static_cast<std::uint32_t>(static_cast<std::uint64_t>(*rule.step));
  }
  bool dropped() const { return rule_.dropout.p > 0; }

  // Copies the head's columns of a matrix, from its `part`th E columns, to T×d, times `factor`; `scatter` copies back.
  void gather(Matrix<const T> from, std::size_t part, T factor, T* to) const {
    for (std::size_t t = 0; t < length; ++t)
      map(
          width, to + t * width, [f = Batch<T>(factor)](Batch<T> v) { return f * v; },
          from.data + place(from.columns, part, t));
  }
  void scatter(const T* from, T factor, Matrix<T> to, std::size_t part) const {
    for (std::size_t t = 0; t < length; ++t)
      map(
          width, to.data + place(to.columns, part, t), [f = Batch<T>(factor)](Batch<T> v) { return f * v; },
          from + t * width);
  }

  // How many of the n keys from `first` on query i may see; the causal rule hides the rest.
  std::size_t looked_at(std::size_t i, std::size_t first, std::size_t n) const {
    return !rule_.causal ? n : i < first ? 0 : std::min(n, i + 1 - first);
  }
  // Whether query i sees any key before `end`.
  bool sees(std::size_t i, std::size_t end) const { return first_seen_ < looked_at(i, 0, end); }
  // Sets s to −∞ for those of the n keys from `first` on that are padding.
  void hide(std::size_t first, std::size_t n, T* s) const {
    if (padding_)
      for (std::size_t j = 0; j < n; ++j)
        if (padding_[first + j] != T(0)) s[j] = -std::numeric_limits<T>::infinity();
  }

  // y = x∘mask/(1−p) for query i and the n keys from `first` on.
  void drop(std::size_t i, std::size_t first, std::size_t n, const T* x, T* y) const {
    const formulas::Dropout& rule = rule_.dropout;
    if (rule.p >= 1) {
      std::fill_n(y, n, T(0));
      return;
    }
    const std::uint32_t threshold = rule.threshold();
    const T scale = static_cast<T>(rule.scale());
    constexpr std::size_t blocks = 16;
    std::uint32_t words[4 * blocks];
    const std::uint64_t begin = (std::uint64_t{task_} * length + i) * length + first, end = begin + n;
    for (std::uint64_t block = begin / 4; 4 * block < end; block += blocks) {
      for (std::size_t b = 0; b < blocks; ++b) {
        const formulas::Words w = rule.words(block + b, count_);
        for (std::size_t k = 0; k < 4; ++k) words[4 * b + k] = w.word[k];
      }
      const std::uint64_t from = std::max(begin, 4 * block), to = std::min(end, 4 * (block + blocks));
      for (std::uint64_t e = from; e < to; ++e)
        y[e - begin] = words[e - 4 * block] < threshold ? T(0) : x[e - begin] * scale;
    }
  }

  const std::size_t length, width;

 private:
  std::size_t place(std::size_t columns, std::size_t part, std::size_t t) const {
    return shape_.row(task_ / shape_.heads, t) * columns + part * shape_.columns() + task_ % shape_.heads * width;
  }
  const AttentionShape& shape_;
  const AttentionRule<T>& rule_;
  std::size_t task_, first_seen_ = 0;
  const T* padding_ = nullptr;
  std::uint32_t count_ = 0;
};

// Reduces f(in[i]…) by op in 16 lanes, whatever the width of a vector, and then the lanes in a tree.
template <class T, class Op, class F, class... In>
T in_lanes(std::size_t n, T nothing, Op op, F f, const In*... in) {
  constexpr std::size_t lanes = 16, w = Batch<T>::size, batches = lanes / w;
  static_assert(lanes % w == 0);
  Batch<T> part[batches];
  for (Batch<T>& p : part) p = Batch<T>(nothing);
  std::size_t i = 0;
  for (; i + lanes <= n; i += lanes)
    for (std::size_t k = 0; k < batches; ++k) part[k] = op(part[k], f(load(in + i + k * w)...));
  if (i < n) {
    T lane[lanes];
    for (std::size_t k = 0; k < batches; ++k) part[k].store(lane + k * w);
    for (std::size_t k = 0; i + k < n; ++k) lane[k] = op(lane[k], f(in[i + k]...));
    for (std::size_t k = 0; k < batches; ++k) part[k] = load(lane + k * w);
  }
  return fold(part, op);
}
struct Added {
  template <class V>
  V operator()(V a, V b) const {
    return a + b;
  }
};
struct Larger {  // may skip a NaN, which e^(NaN − m) brings back
  template <class V>
  V operator()(V a, V b) const {
    return max(b, a);
  }
};
constexpr auto itself = [](auto v) { return v; };
constexpr auto multiplied = [](auto a, auto b) { return a * b; };

template <class T>
T largest(std::size_t n, const T* s) {
  return in_lanes(n, -std::numeric_limits<T>::infinity(), Larger(), itself, s);
}
template <class T>
T total(std::size_t n, const T* x) {
  return in_lanes(n, T(0), Added(), itself, x);
}
template <class T>
T dot(std::size_t n, const T* a, const T* b) {
  return in_lanes(n, T(0), Added(), multiplied, a, b);
}
// s = e^(s−m)
template <class T>
void exponentials(std::size_t n, T m, T* s) {
  const Batch<T> top(m);
  map(
      n, s, [=](Batch<T> z) { return exp(z - top); }, s);
}
template <class T>
void scale(std::size_t n, T a, T* x) {
  const Batch<T> factor(a);
  map(
      n, x, [=](Batch<T> v) { return factor * v; }, x);
}
// ds = p∘(dp − D)
template <class T>
void softmax_gradient(std::size_t n, const T* p, T D, T* dp) {
  const Batch<T> mean(D);
  map(
      n, dp, [=](Batch<T> a, Batch<T> b) { return a * (b - mean); }, p, dp);
}

// With P kept (T×T). room: 4·T·d, plus T·T with dropout.
template <class T>
void forward_kept(const Head<T>& head, T tau, Matrix<const T> qkv, T* P, T* room, Matrix<T> y) {
  const std::size_t n = head.length, d = head.width;
  T *Q = room, *K = Q + n * d, *V = K + n * d, *O = V + n * d, *dropped = O + n * d;
  head.gather(qkv, 0, tau, Q);
  head.gather(qkv, 1, T(1), K);
  head.gather(qkv, 2, T(1), V);
  gemm(false, true, n, n, d, Q, K, T(0), P);  // S = τ·Q·Kᵀ
  for (std::size_t i = 0; i < n; ++i) {       // P = softmax(S)
    T* row = P + i * n;
    const std::size_t keys = head.sees(i, n) ? head.looked_at(i, 0, n) : 0;
    if (keys > 0) {
      head.hide(0, keys, row);
      exponentials(keys, largest(keys, row), row);
      scale(keys, 1 / total(keys, row), row);
    }
    std::fill_n(row + keys, n - keys, T(0));
    if (head.dropped()) head.drop(i, 0, n, row, dropped + i * n);
  }
  gemm(false, false, n, d, n, head.dropped() ? dropped : P, V, T(0), O);  // O = P̃·V
  head.scatter(O, T(1), y, 0);
}

// room: 7·T·d + T·T, twice the T·T with dropout.
template <class T>
void backward_kept(const Head<T>& head, T tau, Matrix<const T> qkv, const T* P, Matrix<const T> dy, T* room,
                   Matrix<T> dqkv) {
  const std::size_t n = head.length, d = head.width;
  T *Q = room, *K = Q + n * d, *V = K + n * d, *dO = V + n * d, *dQ = dO + n * d, *dK = dQ + n * d, *dV = dK + n * d,
    *dS = dV + n * d, *dropped = dS + n * n;
  head.gather(qkv, 0, tau, Q);
  head.gather(qkv, 1, T(1), K);
  head.gather(qkv, 2, T(1), V);
  head.gather(dy, 0, T(1), dO);
  if (head.dropped())
    for (std::size_t i = 0; i < n; ++i) head.drop(i, 0, n, P + i * n, dropped + i * n);
  gemm(true, false, n, d, n, head.dropped() ? dropped : P, dO, T(0), dV);  // dV = P̃ᵀ·δ_O
  gemm(false, true, n, n, d, dO, V, T(0), dS);                             // dP = δ_O·Vᵀ
  for (std::size_t i = 0; i < n; ++i) {                                    // dS = P∘(dP − D),  D = Σ P∘dP
    T* row = dS + i * n;
    if (head.dropped()) head.drop(i, 0, n, row, row);
    // Not Σ δ_O∘O, which is equal but rounded differently: here dS of a single key is exactly 0.
    softmax_gradient(n, P + i * n, dot(n, P + i * n, row), row);
  }
  gemm(false, false, n, d, n, dS, K, T(0), dQ);  // dQ = τ·dS·K
  gemm(true, false, n, d, n, dS, Q, T(0), dK);   // dK = dSᵀ·(τ·Q)
  head.scatter(dQ, tau, dqkv, 0);
  head.scatter(dK, T(1), dqkv, 1);
  head.scatter(dV, T(1), dqkv, 2);
}

// FlashAttention-2: the tiles of each row of S from left to right, keeping the largest so far m, l = Σ e^(S−m) and O =
// e^(S−m)·V; a larger one scales l and O by e^(m_old − m). m, l (T); room: 4·T·d + 2·tile² + tile
template <class T>
void forward_tiled(const Head<T>& head, T tau, Matrix<const T> qkv, T* m, T* l, T* room, Matrix<T> y) {
  const std::size_t n = head.length, d = head.width;
  T *Q = room, *K = Q + n * d, *V = K + n * d, *O = V + n * d, *S = O + n * d, *dropped = S + tile * tile,
    *shrink = dropped + tile * tile;
  head.gather(qkv, 0, tau, Q);
  head.gather(qkv, 1, T(1), K);
  head.gather(qkv, 2, T(1), V);
  std::fill_n(O, n * d, T(0));
  std::fill_n(m, n, -std::numeric_limits<T>::infinity());
  std::fill_n(l, n, T(0));
  for (std::size_t top = 0; top < n; top += tile) {
    const std::size_t rows = std::min(tile, n - top);
    for (std::size_t left = 0; left < n && head.looked_at(top + rows - 1, left, 1) > 0; left += tile) {
      const std::size_t columns = std::min(tile, n - left);
      gemm(false, true, rows, columns, d, Q + top * d, K + left * d, T(0), S);
      for (std::size_t r = 0; r < rows; ++r) {
        const std::size_t i = top + r;
        T* row = S + r * columns;
        const std::size_t keys = head.sees(i, left + columns) ? head.looked_at(i, left, columns) : 0;
        std::fill_n(row + keys, columns - keys, T(0));
        shrink[r] = 0;  // of e^0: nothing changes
        if (keys == 0) continue;
        head.hide(left, keys, row);
        const T before = m[i];
        m[i] = std::max(before, largest(keys, row));
        if (before < m[i] && head.sees(i, left)) shrink[r] = before - m[i];
        exponentials(keys, m[i], row);
      }
      exponentials(rows, T(0), shrink);
      for (std::size_t r = 0; r < rows; ++r) {
        const std::size_t i = top + r;
        l[i] = shrink[r] * l[i] + total(columns, S + r * columns);
        if (shrink[r] != T(1)) scale(d, shrink[r], O + i * d);
        if (head.dropped()) head.drop(i, left, columns, S + r * columns, dropped + r * columns);
      }
      gemm(false, false, rows, d, columns, head.dropped() ? dropped : S, V + left * d, T(1), O + top * d);
    }
  }
  for (std::size_t i = 0; i < n; ++i)
    if (head.sees(i, n)) scale(d, T(1) / l[i], O + i * d);
  head.scatter(O, T(1), y, 0);
}

// P = e^(S−m)/l tile by tile, from the forward's m and l. room: 8·T·d + T + 3·tile²
template <class T>
void backward_tiled(const Head<T>& head, T tau, Matrix<const T> qkv, const T* m, const T* l, Matrix<const T> y,
                    Matrix<const T> dy, T* room, Matrix<T> dqkv) {
  const std::size_t n = head.length, d = head.width;
  T *Q = room, *K = Q + n * d, *V = K + n * d, *O = V + n * d, *dO = O + n * d, *dQ = dO + n * d, *dK = dQ + n * d,
    *dV = dK + n * d, *D = dV + n * d, *P = D + n, *dS = P + tile * tile, *dropped = dS + tile * tile;
  head.gather(qkv, 0, tau, Q);
  head.gather(qkv, 1, T(1), K);
  head.gather(qkv, 2, T(1), V);
  head.gather(y, 0, T(1), O);
  head.gather(dy, 0, T(1), dO);
  for (std::size_t i = 0; i < n; ++i)  // D = rowsum(δ_O∘O)
    D[i] = dot(d, dO + i * d, O + i * d);
  std::fill_n(dQ, 3 * n * d, T(0));
  for (std::size_t left = 0; left < n; left += tile) {
    const std::size_t columns = std::min(tile, n - left);
    for (std::size_t top = 0; top < n; top += tile) {
      const std::size_t rows = std::min(tile, n - top);
      if (head.looked_at(top + rows - 1, left, 1) == 0) continue;
      gemm(false, true, rows, columns, d, Q + top * d, K + left * d, T(0), P);
      for (std::size_t r = 0; r < rows; ++r) {
        const std::size_t i = top + r;
        T* row = P + r * columns;
        const std::size_t keys = head.sees(i, n) ? head.looked_at(i, left, columns) : 0;
        std::fill_n(row + keys, columns - keys, T(0));
        if (keys > 0) {
          head.hide(left, keys, row);
          exponentials(keys, m[i], row);
          scale(keys, T(1) / l[i], row);
        }
        if (head.dropped()) head.drop(i, left, columns, row, dropped + r * columns);
      }
      gemm(true, false, columns, d, rows, head.dropped() ? dropped : P, dO + top * d, T(1), dV + left * d);
      gemm(false, true, rows, columns, d, dO + top * d, V + left * d, T(0), dS);
      for (std::size_t r = 0; r < rows; ++r) {
        T* row = dS + r * columns;
        if (head.dropped()) head.drop(top + r, left, columns, row, row);
        softmax_gradient(columns, P + r * columns, D[top + r], row);
      }
      gemm(false, false, rows, d, columns, dS, K + left * d, T(1), dQ + top * d);
      gemm(true, false, columns, d, rows, dS, Q + top * d, T(1), dK + left * d);
    }
  }
  head.scatter(dQ, tau, dqkv, 0);
  head.scatter(dK, T(1), dqkv, 1);
  head.scatter(dV, T(1), dqkv, 2);
}

// f(task, room) for each head of each sequence, shared among threads.
template <class T, class F>
void each_head(const AttentionShape& shape, std::size_t room, F f) {
  constexpr std::size_t work_a_part = 50'000;
  const std::size_t tasks = shape.tasks(), threads = threads_at_most();
  const std::size_t work = tasks * shape.length * shape.length * shape.width;
  const std::size_t parts =
      threads == 1 ? 1 : std::clamp<std::size_t>(work / work_a_part, 1, std::min(tasks, 2 * threads));
  room = (room + 63) / 64 * 64;
  T* rooms = scratch<T>(parts * room);
  parallel(parts, [&](std::size_t part) {
    for (std::size_t task = tasks * part / parts; task < tasks * (part + 1) / parts; ++task)
      f(task, rooms + part * room);
  });
}

}  // namespace

template <class D, class T>
void AttentionOn<D, T>::forward(const AttentionShape& shape, const AttentionRule<T>& rule, Matrix<const T> qkv,
                                Matrix<T> P, Matrix<T> stats, Matrix<T> y) {
  const std::size_t n = shape.length, head = n * shape.width, square = P ? n * n : tile * tile;
  const std::size_t room = 4 * head + (rule.dropout.p > 0 || !P ? square : 0) + (P ? 0 : square + tile);
  each_head<T>(shape, room, [&](std::size_t task, T* own) {
    const Head<T> h(shape, rule, task);
    if (P)
      forward_kept(h, rule.scale, qkv, P.data + task * n * n, own, y);
    else
      forward_tiled(h, rule.scale, qkv, stats.data + task * n, stats.data + stats.columns + task * n, own, y);
  });
}

template <class D, class T>
void AttentionOn<D, T>::backward(const AttentionShape& shape, const AttentionRule<T>& rule, Matrix<const T> qkv,
                                 Matrix<const T> P, Matrix<const T> stats, Matrix<const T> y, Matrix<const T> dy,
                                 Matrix<T> dqkv) {
  const std::size_t n = shape.length, head = n * shape.width;
  const std::size_t room = P ? 7 * head + (rule.dropout.p > 0 ? 2 : 1) * n * n : 8 * head + n + 3 * tile * tile;
  each_head<T>(shape, room, [&](std::size_t task, T* own) {
    const Head<T> h(shape, rule, task);
    if (P)
      backward_kept(h, rule.scale, qkv, P.data + task * n * n, dy, own, dqkv);
    else
      backward_tiled(h, rule.scale, qkv, stats.data + task * n, stats.data + stats.columns + task * n, y, dy, own,
                     dqkv);
  });
}

template class AttentionOn<cpu::Cpu, float>;
template class AttentionOn<cpu::Cpu, double>;

}  // namespace handgrad::kernels
