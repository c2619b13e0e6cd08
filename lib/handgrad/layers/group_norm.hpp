#pragma once
#include "handgrad/contract/layer.hpp"

namespace handgrad {

struct GroupNormOptions {
  double eps = 1e-5;
  bool affine = true;  ///< with weight and bias
};

/// Group normalisation (Wu and He 2018), as torch.nn.GroupNorm: x, y (N, C, …). The C channels of an example form
/// num_groups groups of neighbours; each group is normalised by itself, over its D elements (C/num_groups channels
/// times places), in training and evaluation alike. Examples do not interact, so that batches may be small:
///     µ = (1/D) Σᵢ xᵢ,  σ² = (1/D) Σᵢ (xᵢ − µ)²,  s = 1/√(σ² + eps),  x̂ = (x − µ)·s,  y = γ_c·x̂ + β_c
/// with γ = weight, β = bias (C), initially 1 and 0. One group is LayerNorm over (C, …) with one γ per channel; C
/// groups are instance normalisation.
///
/// Derivation, for δ = ∂L/∂y: dβ_c = Σ δ and dγ_c = Σ δ·x̂ over all elements of channel c. In a group, g = ∂L/∂x̂ = γ_c·δ
/// and, as for LayerNorm, ∂x̂ᵢ/∂xⱼ = s·(δᵢⱼ − 1/D − x̂ᵢ·x̂ⱼ/D), so that
///     dx = s·(g − mean(g) − x̂·mean(g∘x̂))
/// γ stays inside the means, as it differs between the channels of a group.
///
/// Throws ValueError unless num_groups divides num_channels, ShapeError for any other input than (N, C, …).
template <class T = float>
class GroupNorm : public Layer<T> {
 public:
  GroupNorm(std::size_t num_groups, std::size_t num_channels, GroupNormOptions options = {});

  std::size_t num_groups() const { return groups_; }
  std::size_t num_channels() const { return channels_; }
  const GroupNormOptions& options() const { return options_; }

  Parameter<T> weight, bias;

  std::string extra_repr() const override;
  std::string label() const override;
  Shape output_shape(const Shape& input) const override;
  trace::Derivation derivation(const Shape& input) const override;

 protected:
  void forward_into(const Tensor<T>& x, Tensor<T>& y) override;
  void backward_into(const Tensor<T>& x, const Tensor<T>& y, const Tensor<T>& dy, Tensor<T>& dx) override;

 private:
  std::size_t groups_, channels_;
  GroupNormOptions options_;
  Tensor<T> mean_, inv_std_;  // µ (as two numbers) and s of each group in the last forward
};

GroupNorm(std::size_t, std::size_t)->GroupNorm<float>;
GroupNorm(std::size_t, std::size_t, GroupNormOptions)->GroupNorm<float>;

}  // namespace handgrad
