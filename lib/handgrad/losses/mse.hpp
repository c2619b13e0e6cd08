#pragma once
#include "handgrad/losses/element_loss.hpp"

namespace handgrad {

/// ℓ = (p − t)²,  ∂ℓ/∂p = 2(p − t). Mean over all elements (not rows) by default, as torch.nn.MSELoss.
template <class T = float>
class MSELoss : public ElementLoss<T> {
 public:
  using ElementLoss<T>::ElementLoss;
  formulas::ElementLoss formula() const override;
};

/// ℓ = |p − t|,  ∂ℓ/∂p = sign(p − t), 0 at the kink p = t.
template <class T = float>
class L1Loss : public ElementLoss<T> {
 public:
  using ElementLoss<T>::ElementLoss;
  formulas::ElementLoss formula() const override;

 protected:
  void kink_sides(const Tensor<T>& p, const Tensor<T>& t, std::vector<bool>& sides) const override;
};

struct HuberLossOptions {
  double delta = 1;
  Reduction reduction = Reduction::Mean;
};

/// With d = p − t:  ℓ = ½d² for |d| ≤ δ, δ(|d| − ½δ) beyond;  ∂ℓ/∂p = d clamped to [−δ, δ] (Huber 1964). Large errors
/// pull no harder than δ, so that an outlier does not dominate the fit. Throws ValueError unless delta > 0.
template <class T = float>
class HuberLoss : public ElementLoss<T> {
 public:
  explicit HuberLoss(HuberLossOptions options = {});
  explicit HuberLoss(Reduction reduction) : HuberLoss(HuberLossOptions{.reduction = reduction}) {}
  formulas::ElementLoss formula() const override;

 protected:
  void kink_sides(const Tensor<T>& p, const Tensor<T>& t, std::vector<bool>& sides) const override;

 private:
  double delta_;
};

struct SmoothL1LossOptions {
  Reduction reduction = Reduction::Mean;
  double beta = 1;
};

/// With d = p − t:  ℓ = ½d²/β for |d| < β, |d| − ½β beyond;  ∂ℓ/∂p = d/β, sign d beyond: HuberLoss divided by its δ,
/// and L1Loss for β = 0. Throws ValueError for a negative β.
template <class T = float>
class SmoothL1Loss : public ElementLoss<T> {
 public:
  explicit SmoothL1Loss(SmoothL1LossOptions options = {});
  explicit SmoothL1Loss(Reduction reduction) : SmoothL1Loss(SmoothL1LossOptions{.reduction = reduction}) {}
  formulas::ElementLoss formula() const override;

 protected:
  void kink_sides(const Tensor<T>& p, const Tensor<T>& t, std::vector<bool>& sides) const override;

 private:
  double beta_;
};

MSELoss()->MSELoss<float>;
MSELoss(Reduction)->MSELoss<float>;
L1Loss()->L1Loss<float>;
L1Loss(Reduction)->L1Loss<float>;
HuberLoss()->HuberLoss<float>;
HuberLoss(HuberLossOptions)->HuberLoss<float>;
HuberLoss(Reduction)->HuberLoss<float>;
SmoothL1Loss()->SmoothL1Loss<float>;
SmoothL1Loss(SmoothL1LossOptions)->SmoothL1Loss<float>;
SmoothL1Loss(Reduction)->SmoothL1Loss<float>;

}  // namespace handgrad
