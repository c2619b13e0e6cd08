#pragma once
#include <memory>

#include "handgrad/layers/dropout.hpp"
#include "handgrad/layers/linear.hpp"

namespace handgrad {

namespace kernels {
template <class T>
struct AttentionRule;
}

struct MultiheadAttentionOptions {
  double dropout = 0;        ///< of the probabilities P, in training
  bool bias = true;          ///< of both projections
  bool batch_first = false;  ///< x is (N, T, E) rather than (T, N, E)
  bool is_causal = false;    ///< position i sees the positions j ≤ i only
  /// Up to this T the probabilities (N·H·T·T numbers) are kept for the backward; for longer sequences they are
  /// recomputed tile by tile from two numbers a row.
  std::size_t keep_up_to = 512;
};

/// Self-attention of H heads (Vaswani et al. 2017), as torch.nn.MultiheadAttention called with query = key = value = x:
/// each position of a sequence receives a mixture of all positions' values, weighted by how well its query fits their
/// keys. For sequences x (T, N, E), (N, T, E) with batch_first, or one alone (T, E); E = embed_dim = H·d:
///
///     [Q K V] = x·W_inᵀ + b_in                    W_in = in_proj_weight (3E×E), b_in = in_proj_bias (3E)
///     S = τ·Q·Kᵀ + M,  τ = 1/√d                   for each head, whose Q, K, V are d columns of those: (T×d)
///     P = softmax(S) by rows,  O = P·V            M = −∞ where a key is hidden, else 0
///     y = [O₁ … O_H]·W_outᵀ + b_out               W_out = out_proj.weight (E×E), b_out = out_proj.bias (E)
///
/// A position that sees no key gets O = 0, as in scaled_dot_product_attention (softmax alone would give NaN).
///
/// Derivation, for δ_O = ∂L/∂O, the head's columns of δ·W_out:
///     O = P·V       ⇒  dV = Pᵀ·δ_O,  dP = δ_O·Vᵀ                                    (two factors of a product)
///     P = softmax   ⇒  dSᵢⱼ = Pᵢⱼ·(dPᵢⱼ − Dᵢ),  Dᵢ = Σⱼ Pᵢⱼ·dPᵢⱼ                      (as in Softmax, row by row)
///     The Jacobian of a row, T×T, is never formed. And Dᵢ = Σⱼ Pᵢⱼ·Σ_c δ_O[i,c]·V[j,c] = Σ_c δ_O[i,c]·O[i,c]:
///     no sum over the keys is needed. M is a constant: where it is −∞, P = 0 and dS = 0.
///     S = τ·Q·Kᵀ    ⇒  dQ = τ·dS·K,  dK = τ·dSᵀ·Q                                   (τ once in each)
///     x is used three times, and the gradients of all uses add up: dx = dQ·W_Q + dK·W_K + dV·W_V = [dQ dK dV]·W_in,
///     dW_in = [dQ dK dV]ᵀ·x,  db_in = Σ [dQ dK dV] over all positions
/// With dropout P̃ = m∘P/(1−p) takes the place of P in O and dV, and dP = m∘(δ_O·Vᵀ)/(1−p).
/// How it is computed: kernels/attention.hpp.
template <class T = float>
class MultiheadAttention : public Layer<T> {
 public:
  /// W_out is drawn as in a Linear, then W_in by xavier_uniform_; biases are 0: PyTorch's order and numbers. Throws
  /// ValueError unless embed_dim is a multiple of num_heads.
  MultiheadAttention(std::size_t embed_dim, std::size_t num_heads, MultiheadAttentionOptions options = {});

  std::size_t embed_dim() const { return in_proj_weight.shape()[1]; }
  std::size_t num_heads() const { return heads_; }
  const MultiheadAttentionOptions& options() const { return options_; }

  /// From the next forward on, keys where the mask (N×T; (T) for one sequence) is not 0 are hidden, as by PyTorch's
  /// key_padding_mask: the padding of sequences that are shorter than T. `{}` removes it. A forward with other N or T
  /// throws ShapeError.
  void key_padding_mask(Tensor<T> mask) { padding_ = std::move(mask); }
  /// The last forward's P, (N, H, T, T), before dropout. Throws StateError if it was not kept.
  Tensor<T> probabilities() const;

  Parameter<T> in_proj_weight, in_proj_bias;
  /// The layer behind the heads.
  Linear<T>& out_proj() const { return *out_proj_; }

  std::string extra_repr() const override;
  std::string label() const override;
  Shape output_shape(const Shape& input) const override;
  trace::Derivation derivation(const Shape& input) const override;

 protected:
  void forward_into(const Tensor<T>& x, Tensor<T>& y) override;
  void backward_into(const Tensor<T>& x, const Tensor<T>& y, const Tensor<T>& dy, Tensor<T>& dx) override;

 private:
  kernels::AttentionRule<T> rule() const;

  std::size_t heads_;
  MultiheadAttentionOptions options_;
  std::shared_ptr<Linear<T>> out_proj_;
  std::shared_ptr<Dropout<T>> dropout_;
  Tensor<T> padding_;
  bool dropped_ = false, kept_ = false;               // in the last forward
  Tensor<T> qkv_, probabilities_, stats_, o_, dqkv_;  // of the last forward; dqkv_ of the last backward
};

MultiheadAttention(std::size_t, std::size_t)->MultiheadAttention<float>;
MultiheadAttention(std::size_t, std::size_t, MultiheadAttentionOptions)->MultiheadAttention<float>;

}  // namespace handgrad
