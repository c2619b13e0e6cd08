#pragma once
// Multi-head scaled dot-product self-attention.
#include <cstddef>

#include "kernels/formulas/random.hpp"
#include "kernels/view.hpp"

namespace handgrad::kernels {

/// N sequences of length T and H heads of `width` d. Rows are ordered (N, T) or (T, N).
struct AttentionShape {
  std::size_t batch = 1, length = 1, heads = 1, width = 1;
  bool batch_first = true;

  std::size_t columns() const { return heads * width; }  // E
  std::size_t tasks() const { return batch * heads; }    // one per head and sequence: n·H + h
#ifdef __CUDACC__
  __host__ __device__
#endif
      std::size_t
      row(std::size_t n, std::size_t t) const {
    return batch_first ? n * length + t : t * batch + n;
  }
};

/// Which keys a query sees, and the dropout applied to its probabilities.
template <class T>
struct AttentionRule {
  T scale = 1;                 // τ
  bool causal = false;         // query i sees the keys j ≤ i only
  const T* padding = nullptr;  // (N×T): keys that no query sees where it is not 0; or null
  formulas::Dropout dropout;   // of P, with the mask of *step, element ((n·H + h)·T + i)·T + j; p = 0: none
  const double* step = nullptr;
};

/// For each head of each sequence, with the queries, keys and values Q, K, V (T×d) side by side in the rows of qkv (N·T
/// × 3E), E = H·d, head after head:
///
///     S = τ·Q·Kᵀ, −∞ where a key is not seen;   P = softmax(S) by rows;   O = P̃·V,  P̃ = P after dropout
///
/// O (T×d) goes into the head's columns of y (N·T × E). A query that sees no key gets O = 0. Either all of P is kept,
/// (N·H·T × T), or, with P null, only what is needed to recompute it tile by tile: m = max S and Σ e^(S−m) of each row,
/// in stats (2 × N·H·T). (Two numbers where FlashAttention keeps their log-sum-exp m + log Σ, which would be rounded at
/// the magnitude of m.)
///
/// Backward, for δ = ∂L/∂y, of which a head has δ_O (T×d):
///
///     dV = P̃ᵀ·δ_O,   dP = δ_O·Vᵀ, dropped out like P,   dS = P∘(dP − D),  D = rowsum(P∘dP) = rowsum(δ_O∘O)
///     dQ = τ·dS·K,   dK = τ·dSᵀ·Q
///
/// Sources: Vaswani et al. 2017; Dao et al. 2022, appendix B, and Dao 2023 (FlashAttention-2) for the tiles.
template <class T>
class Attention {
 public:
  virtual ~Attention() = default;

  virtual void forward(const AttentionShape& shape, const AttentionRule<T>& rule, Matrix<const T> qkv, Matrix<T> P,
                       Matrix<T> stats, Matrix<T> y) = 0;
  /// y is the forward's output; dqkv is overwritten.
  virtual void backward(const AttentionShape& shape, const AttentionRule<T>& rule, Matrix<const T> qkv,
                        Matrix<const T> P, Matrix<const T> stats, Matrix<const T> y, Matrix<const T> dy,
                        Matrix<T> dqkv) = 0;
};

/// On device D: cpu/attention.cpp, cuda/attention.cu.
template <class D, class T>
class AttentionOn final : public Attention<T> {
 public:
  explicit AttentionOn(D& device) : device_(device) {}
  void forward(const AttentionShape& shape, const AttentionRule<T>& rule, Matrix<const T> qkv, Matrix<T> P,
               Matrix<T> stats, Matrix<T> y) override;
  void backward(const AttentionShape& shape, const AttentionRule<T>& rule, Matrix<const T> qkv, Matrix<const T> P,
                Matrix<const T> stats, Matrix<const T> y, Matrix<const T> dy, Matrix<T> dqkv) override;

 private:
  [[maybe_unused]] D& device_;
};

}  // namespace handgrad::kernels
