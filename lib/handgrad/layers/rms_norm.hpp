#pragma once
#include <optional>

#include "handgrad/contract/layer.hpp"

namespace handgrad {

struct RMSNormOptions {
  std::optional<double> eps = {};  ///< none: the machine epsilon of T
  bool elementwise_affine = true;  ///< with weight
};

/// Normalisation by the root mean square (Zhang and Sennrich 2019), as torch.nn.RMSNorm: the last dimensions,
/// `normalized_shape` with D elements, form a row; each row is normalised by itself, without subtracting the mean:
///     r = 1/√(mean(x²) + eps),  x̂ = x·r,  y = γ∘x̂
/// with γ = weight, of shape normalized_shape, initially 1.
///
/// Derivation, for δ = ∂L/∂y: over the rows n, dγ = Σₙ δₙ∘x̂ₙ. Within a row, g = ∂L/∂x̂ = γ∘δ. From ∂r/∂xⱼ = −(r²/D)·x̂ⱼ,
///     ∂x̂ᵢ/∂xⱼ = r·(δᵢⱼ − x̂ᵢ·x̂ⱼ/D)        (δᵢⱼ = 1 for i = j, else 0)
///     dx = r·(g − x̂·mean(g∘x̂))
/// In words: the part along x̂ is removed, for x̂ does not change when x is scaled.
template <class T = float>
class RMSNorm : public Layer<T> {
 public:
  explicit RMSNorm(std::size_t features, RMSNormOptions options = {}) : RMSNorm(Shape{features}, options) {}
  /// Throws ValueError if normalized_shape has no elements.
  explicit RMSNorm(Shape normalized_shape, RMSNormOptions options = {});

  const Shape& normalized_shape() const { return shape_; }
  T eps() const;

  Parameter<T> weight;

  std::string extra_repr() const override;
  std::string label() const override;
  Shape output_shape(const Shape& input) const override;
  trace::Derivation derivation(const Shape& input) const override;

 protected:
  void forward_into(const Tensor<T>& x, Tensor<T>& y) override;
  void backward_into(const Tensor<T>& x, const Tensor<T>& y, const Tensor<T>& dy, Tensor<T>& dx) override;

 private:
  Shape shape_;
  RMSNormOptions options_;
  Tensor<T> inv_rms_;  // r of each row in the last forward
};

RMSNorm(std::size_t)->RMSNorm<float>;
RMSNorm(std::size_t, RMSNormOptions)->RMSNorm<float>;
RMSNorm(Shape)->RMSNorm<float>;
RMSNorm(Shape, RMSNormOptions)->RMSNorm<float>;

}  // namespace handgrad
