#pragma once
#include "handgrad/contract/layer.hpp"

namespace handgrad {

/// yⱼ = e^(zⱼ)/Σₖ e^(zₖ) along dimension `dim` (by default the last; negative counts from the end), computed as
/// e^(zⱼ−m)/Σₖ e^(zₖ−m) with m = max z, which is equal and does not overflow.
///
/// Derivation: ∂yⱼ/∂zᵢ = yⱼ(1[i=j] − yᵢ)   ⇒   dzᵢ = Σⱼ δⱼ·yⱼ(1[i=j] − yᵢ) = yᵢ(δᵢ − Σⱼ δⱼyⱼ)
///
/// `dim` matters: with dim 0 the probabilities of one class add up to 1 over the batch, which is rarely intended.
/// Throws ShapeError for a dimension that the input does not have.
template <class T = float>
class Softmax : public Layer<T> {
 public:
  explicit Softmax(int dim = -1) : dim_(dim) {}
  int dim() const { return dim_; }
  std::string extra_repr() const override { return "dim=" + std::to_string(dim_); }
  Shape output_shape(const Shape& input) const override;
  trace::Derivation derivation(const Shape& input) const override;

 protected:
  void forward_into(const Tensor<T>& z, Tensor<T>& y) override;
  void backward_into(const Tensor<T>& z, const Tensor<T>& y, const Tensor<T>& dy, Tensor<T>& dz) override;

 private:
  int dim_;
};

/// yⱼ = log softmax(z)ⱼ = zⱼ − log Σₖ e^(zₖ) along `dim`, computed as (zⱼ−m) − log Σₖ e^(zₖ−m).
///
/// Derivation: ∂yⱼ/∂zᵢ = 1[i=j] − softmax(z)ᵢ   ⇒   dzᵢ = δᵢ − e^(yᵢ)·Σⱼ δⱼ
template <class T = float>
class LogSoftmax : public Layer<T> {
 public:
  explicit LogSoftmax(int dim = -1) : dim_(dim) {}
  int dim() const { return dim_; }
  std::string extra_repr() const override { return "dim=" + std::to_string(dim_); }
  Shape output_shape(const Shape& input) const override;
  trace::Derivation derivation(const Shape& input) const override;

 protected:
  void forward_into(const Tensor<T>& z, Tensor<T>& y) override;
  void backward_into(const Tensor<T>& z, const Tensor<T>& y, const Tensor<T>& dy, Tensor<T>& dz) override;

 private:
  int dim_;
};

}  // namespace handgrad
