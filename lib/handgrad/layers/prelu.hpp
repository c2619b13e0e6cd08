#pragma once
#include "handgrad/contract/layer.hpp"

namespace handgrad {

/// ReLU with a learned slope below 0 (He et al. 2015), as torch.nn.PReLU:
///     y = z for z > 0, else a_c·z
/// with a = weight, initially `init`: one slope for all elements (num_parameters = 1), or one for each channel c, the
/// second dimension of z: (N, C), (N, C, L), (N, C, H, W).
///
/// Derivation, for δ = ∂L/∂y: z occurs in y with the factor 1 or a_c, and a_c in every element of its channel with the
/// factor min(z, 0), hence
///     dz = δ for z > 0, else a_c·δ;   da_c = Σ δ·min(z, 0), over all n and all places of channel c
/// Train it without weight_decay, which would pull a to 0 and the layer to ReLU.
///
/// With more than one parameter, throws ShapeError for an input without that many channels.
template <class T = float>
class PReLU : public Layer<T> {
 public:
  explicit PReLU(std::size_t num_parameters = 1, double init = 0.25);

  Parameter<T> weight;

  std::string extra_repr() const override;
  Shape output_shape(const Shape& input) const override;
  trace::Derivation derivation(const Shape& input) const override;

 protected:
  void forward_into(const Tensor<T>& z, Tensor<T>& y) override;
  void backward_into(const Tensor<T>& z, const Tensor<T>& y, const Tensor<T>& dy, Tensor<T>& dz) override;
  void kink_sides(const Tensor<T>& z, std::vector<bool>& sides) const override;
};

PReLU()->PReLU<float>;
PReLU(std::size_t)->PReLU<float>;
PReLU(std::size_t, double)->PReLU<float>;

}  // namespace handgrad
