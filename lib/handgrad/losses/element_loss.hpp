#pragma once
#include "handgrad/contract/loss.hpp"

namespace handgrad {

namespace formulas {
struct ElementLoss;
}

/// The common part of the losses that compare element by element: L = (1/N)·Σ wᵢ·ℓ(pᵢ, yᵢ) for Mean, with N the number
/// of elements, Σ wᵢ·ℓ for Sum, wᵢ·ℓ for None; and dpᵢ = wᵢ·∂ℓ/∂p, over N for Mean. The formulas of ℓ and ∂ℓ/∂p and
/// their derivations are in kernels/formulas/losses.hpp, shared by CPU and GPU.
template <class T>
class ElementLoss : public Loss<T> {
 public:
  using Loss<T>::Loss;
  trace::Derivation derivation(const Shape& prediction, const Shape& target) const override;

 protected:
  /// Which of the formulas in kernels/formulas it is.
  virtual formulas::ElementLoss formula() const = 0;
  /// Weights of the elements and of the positive class, of the prediction's shape; null for none.
  virtual const Tensor<T>* weights() const { return nullptr; }
  virtual const Tensor<T>* positive_weights() const { return nullptr; }
  /// The divisor of Mean.
  virtual std::size_t divisor(const Shape& prediction) const { return prediction.numel(); }

  void forward_into(const Tensor<T>& p, const Tensor<T>& t, Tensor<T>& value) override;
  void backward_into(const Tensor<T>& p, const Tensor<T>& t, Tensor<T>& dp) override;
};

}  // namespace handgrad
