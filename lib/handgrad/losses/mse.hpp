#pragma once
#include "handgrad/losses/element_loss.hpp"

namespace handgrad {

/// ℓ = (p − y)²,  ∂ℓ/∂p = 2(p − y). Mean over all elements (not rows) by default, as torch.nn.MSELoss.
template <class T = float>
class MSELoss : public ElementLoss<T> {
 public:
  using ElementLoss<T>::ElementLoss;
  formulas::ElementLoss formula() const override;
};

/// ℓ = |p − y|,  ∂ℓ/∂p = sign(p − y), 0 at the kink p = y.
template <class T = float>
class L1Loss : public ElementLoss<T> {
 public:
  using ElementLoss<T>::ElementLoss;
  formulas::ElementLoss formula() const override;

 protected:
  void kink_sides(const Tensor<T>& p, const Tensor<T>& y, std::vector<bool>& sides) const override;
};

MSELoss()->MSELoss<float>;
MSELoss(Reduction)->MSELoss<float>;
L1Loss()->L1Loss<float>;
L1Loss(Reduction)->L1Loss<float>;

}  // namespace handgrad
