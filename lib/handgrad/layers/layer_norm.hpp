#pragma once
#include "handgrad/contract/layer.hpp"

namespace handgrad {

struct LayerNormOptions {
  double eps = 1e-5;
  bool elementwise_affine = true;  ///< with weight
  bool bias = true;                ///< and with bias, if there is a weight
};

/// Layer normalisation (Ba, Kiros and Hinton 2016), as torch.nn.LayerNorm: the last dimensions, `normalized_shape` with
/// D elements, form a row; each row is normalised by itself, in training and evaluation alike:
///     µ = (1/D) Σᵢ xᵢ,  σ² = (1/D) Σᵢ (xᵢ − µ)²,  s = 1/√(σ² + eps),  x̂ = (x − µ)·s,  y = γ∘x̂ + β
/// with γ = weight, β = bias, of shape normalized_shape, initially 1 and 0.
///
/// Derivation, for δ = ∂L/∂y: over the rows n, dβ = Σₙ δₙ and dγ = Σₙ δₙ∘x̂ₙ. Within a row, g = ∂L/∂x̂ = γ∘δ, and as for
/// BatchNorm1d, ∂x̂ᵢ/∂xⱼ = s·(δᵢⱼ − 1/D − x̂ᵢ·x̂ⱼ/D), so that
///     dx = s·(g − mean(g) − x̂·mean(g∘x̂))
/// γ differs from element to element and stays inside the means; in BatchNorm1d it can be taken out.
template <class T = float>
class LayerNorm : public Layer<T> {
 public:
  explicit LayerNorm(std::size_t features, LayerNormOptions options = {}) : LayerNorm(Shape{features}, options) {}
  /// Throws ValueError if normalized_shape has no elements.
  explicit LayerNorm(Shape normalized_shape, LayerNormOptions options = {});

  const Shape& normalized_shape() const { return shape_; }
  const LayerNormOptions& options() const { return options_; }

  Parameter<T> weight, bias;

  std::string extra_repr() const override;
  std::string label() const override;
  Shape output_shape(const Shape& input) const override;
  trace::Derivation derivation(const Shape& input) const override;

 protected:
  void forward_into(const Tensor<T>& x, Tensor<T>& y) override;
  void backward_into(const Tensor<T>& x, const Tensor<T>& y, const Tensor<T>& dy, Tensor<T>& dx) override;

 private:
  Shape shape_;
  LayerNormOptions options_;
  Tensor<T> mean_, inv_std_;  // µ and s of each row in the last forward
};

LayerNorm(std::size_t)->LayerNorm<float>;
LayerNorm(std::size_t, LayerNormOptions)->LayerNorm<float>;
LayerNorm(Shape)->LayerNorm<float>;
LayerNorm(Shape, LayerNormOptions)->LayerNorm<float>;

}  // namespace handgrad
