#pragma once
#include "handgrad/contract/layer.hpp"

namespace handgrad {

/// One neuron: y = Σᵢ wᵢ·xᵢ + b, for one example x (in,) → y () or a batch of rows x (N×in) → y (N).
///
/// Derivation, with δ = ∂L/∂y: ∂y/∂wᵢ = xᵢ, ∂y/∂b = 1, ∂y/∂xᵢ = wᵢ, summed over the batch:
///     dw = Σₙ δₙ·xₙ,   db = Σₙ δₙ,   dxₙ = δₙ·w
template <class T = float>
class Neuron : public Layer<T> {
 public:
  /// w, then b, drawn from N(0, 1). Throws ValueError for no inputs.
  explicit Neuron(std::size_t in_features);
  /// From given w (in,) and b, one number of shape () or (1,), which it shares. Throws ShapeError.
  Neuron(Tensor<T> weight, Tensor<T> bias);

  std::size_t in_features() const { return weight.numel(); }
  Parameter<T> weight, bias;

  std::string extra_repr() const override { return "in_features=" + std::to_string(in_features()); }
  std::string label() const override { return "Neuron(" + std::to_string(in_features()) + " → 1)"; }
  Shape output_shape(const Shape& input) const override;
  trace::Derivation derivation(const Shape& input) const override;

 protected:
  void forward_into(const Tensor<T>& x, Tensor<T>& y) override;
  void backward_into(const Tensor<T>& x, const Tensor<T>& y, const Tensor<T>& dy, Tensor<T>& dx) override;
};

Neuron(std::size_t)->Neuron<float>;

}  // namespace handgrad
