#pragma once
#include "handgrad/contract/layer.hpp"

namespace handgrad {

/// y = x·Wᵀ + b for a batch of rows: x (N×in), W (out×in), b (out), y (N×out). A vector (in,) gives a vector (out,);
/// with more dimensions, all but the last are rows.
///
/// Derivation, for L(y) with δ = ∂L/∂y (N×out): from yₙₒ = Σᵢ xₙᵢ·Wₒᵢ + bₒ
///     ∂yₙₒ/∂Wₒᵢ = xₙᵢ   ⇒  dWₒᵢ = Σₙ δₙₒ·xₙᵢ,   dW = δᵀ·x   (out×N · N×in)
///     ∂yₙₒ/∂bₒ  = 1     ⇒  dbₒ  = Σₙ δₙₒ
///     ∂yₙₒ/∂xₙᵢ = Wₒᵢ   ⇒  dxₙᵢ = Σₒ δₙₒ·Wₒᵢ,   dx = δ·W    (N×out · out×in)
/// Sums over the batch, not means: dividing by N is up to the loss.
template <class T = float>
class Linear : public Layer<T> {
 public:
  /// W, then b, both from U(−1/√in, 1/√in), drawn as in torch.nn.Linear. Throws ValueError for in or out = 0.
  Linear(std::size_t in_features, std::size_t out_features, bool bias = true);
  /// From given tensors W (out×in) and b (out), which it shares; without b, no bias. Throws ShapeError.
  explicit Linear(Tensor<T> weight, Tensor<T> bias = {});
  /// W, then b, drawn from N(0, 1), as in the notebook's own Linear.
  static Linear standard_normal(std::size_t in_features, std::size_t out_features);

  std::size_t in_features() const { return weight.shape()[1]; }
  std::size_t out_features() const { return weight.shape()[0]; }
  /// Whether b is there.
  bool has_bias() const { return bias.defined(); }

  Parameter<T> weight, bias;

  std::string extra_repr() const override;
  std::string label() const override;
  Shape output_shape(const Shape& input) const override;
  trace::Derivation derivation(const Shape& input) const override;

 protected:
  void forward_into(const Tensor<T>& x, Tensor<T>& y) override;
  void backward_into(const Tensor<T>& x, const Tensor<T>& y, const Tensor<T>& dy, Tensor<T>& dx) override;
};

Linear(std::size_t, std::size_t)->Linear<float>;
Linear(std::size_t, std::size_t, bool)->Linear<float>;

}  // namespace handgrad
