#pragma once
#include <memory>
#include <optional>
#include <string>

#include "handgrad/fusion/plan.hpp"
#include "handgrad/layers/layer_norm.hpp"
#include "handgrad/layers/multihead_attention.hpp"

namespace handgrad {

struct TransformerEncoderLayerOptions {
  std::size_t dim_feedforward = 2048;
  double dropout = 0.1;
  std::string activation = "relu";  ///< or "gelu"
  double layer_norm_eps = 1e-5;
  bool batch_first = false;  ///< x is (N, T, E) rather than (T, N, E)
  bool norm_first = false;
  bool bias = true;
  bool is_causal = false;  ///< position i sees the positions j ≤ i only
};

/// One layer of a transformer encoder, as torch.nn.TransformerEncoderLayer, whose files it loads. With A =
/// dropout(attention) and F = dropout(linear2(dropout(φ(linear1(·))))), φ = ReLU or GELU, for sequences x (T, N, E),
/// (N, T, E) or (T, E):
///
///     h = norm1(x + A(x)),   y = norm2(h + F(h))                     norm_first = false (Vaswani et al. 2017)
///     h = x + A(norm1(x)),   y = h + F(norm2(h))                     norm_first = true  (Xiong et al. 2020)
///
/// Derivation: x and h are used twice each, so the gradients of both uses add. With ∂Aᵀ for the backward of A's layers,
/// in reverse order, and so on, in the two cases:
///
///     δ_h = u + ∂Fᵀ·u with u = ∂norm2ᵀ·δ;   dx = v + ∂Aᵀ·v with v = ∂norm1ᵀ·δ_h
///     δ_h = δ + ∂norm2ᵀ·∂Fᵀ·δ;              dx = δ_h + ∂norm1ᵀ·∂Aᵀ·δ_h
///
/// With norm_first, δ reaches dx unchanged and the branches only add to it: such networks train without a warm-up.
template <class T = float>
class TransformerEncoderLayer : public Layer<T> {
 public:
  /// Draws as PyTorch does, in its order. Throws ValueError as MultiheadAttention does, and for any other activation.
  TransformerEncoderLayer(std::size_t d_model, std::size_t nhead, TransformerEncoderLayerOptions options = {});

  /// The layers it is made of, and where the norms stand.
  MultiheadAttention<T>& self_attn() const { return *self_attn_; }
  bool norm_first() const { return norm_first_; }

  Shape output_shape(const Shape& input) const override { return self_attn_->output_shape(input); }
  std::string label() const override { return "TransformerEncoderLayer"; }
  std::string extra_repr() const override { return norm_first_ ? "norm_first=True" : ""; }
  trace::Derivation derivation(const Shape& input) const override;

 protected:
  void forward_into(const Tensor<T>& x, Tensor<T>& y) override;
  void backward_into(const Tensor<T>& x, const Tensor<T>& y, const Tensor<T>& dy, Tensor<T>& dx) override;
  void invalidate() override { feed_forward_.reset(), attention_.reset(); }

 private:
  const Tensor<T>& attend(const Tensor<T>& x);           // A(x)
  const Tensor<T>& attend_backward(const Tensor<T>& d);  // ∂Aᵀ·δ
  const Tensor<T>& feed_forward(const Tensor<T>& h);
  const Tensor<T>& feed_forward_backward(const Tensor<T>& d);
  void plan();

  bool norm_first_, drops_;
  std::shared_ptr<MultiheadAttention<T>> self_attn_;
  std::shared_ptr<Layer<T>> linear1_, activation_, dropout_, linear2_, norm1_, norm2_, dropout1_, dropout2_;
  std::optional<fusion::Plan<T>> attention_, feed_forward_;  // made by the first forward in a mode
  std::size_t in_attention_ = 0, in_feed_forward_ = 0;
  Tensor<T> sum1_, sum2_, dsum2_;
};

TransformerEncoderLayer(std::size_t, std::size_t)->TransformerEncoderLayer<float>;
TransformerEncoderLayer(std::size_t, std::size_t, TransformerEncoderLayerOptions)->TransformerEncoderLayer<float>;

}  // namespace handgrad
