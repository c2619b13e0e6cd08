#pragma once
#include "handgrad/losses/element_loss.hpp"

namespace handgrad {

struct BCELossOptions {
  /// 0: each logarithm is clamped to ≥ −100, as in PyTorch. ε > 0: the probabilities are clamped to [ε, 1−ε], as in the
  /// notebooks (with 1e-7); outside, their gradient is 0, so a saturated output learns nothing.
  double clamp = 0;
  Reduction reduction = Reduction::Mean;
};

/// Binary cross-entropy of probabilities p ∈ [0, 1] and targets t ∈ [0, 1]:
///     ℓ = −[t·log p + (1−t)·log(1−p)],   ∂ℓ/∂p = (p − t)/(p(1−p))
/// For probabilities from a sigmoid prefer BCEWithLogitsLoss, which is exact and cannot overflow. Throws ValueError for
/// a probability or target outside [0, 1] or NaN (on the CPU; a GPU would have to wait for the check).
template <class T = float>
class BCELoss : public ElementLoss<T> {
 public:
  /// Throws ValueError for a clamp that is neither 0 nor in [ε/2, ½), with the machine epsilon ε of T.
  explicit BCELoss(BCELossOptions options = {});
  explicit BCELoss(Reduction reduction) : ElementLoss<T>(reduction), clamp_(0) {}
  formulas::ElementLoss formula() const override;

 protected:
  void forward_into(const Tensor<T>& p, const Tensor<T>& t, Tensor<T>& value) override;

 private:
  double clamp_;
};

/// `weight` scales the whole loss of an element, both classes alike; `pos_weight` scales the positive class only (above
/// 1 it trades precision for recall). Each has the prediction's shape or its last dimensions (one per column, or one in
/// all); undefined stands for 1.
template <class T>
struct BCEWithLogitsLossOptions {
  Tensor<T> weight = {}, pos_weight = {};
  Reduction reduction = Reduction::Mean;
};

/// Sigmoid and binary cross-entropy in one, for logits z: with p = σ(z), weight w and pos_weight q
///     ℓ = −w·[q·t·log σ(z) + (1−t)·log(1−σ(z))] = w·[q·t·log(1+e⁻ᶻ) + (1−t)·log(1+eᶻ)]
///     ∂ℓ/∂z = w·[(1−t) − (1 + (q−1)t)·σ(−z)],   for w = q = 1:  ∂ℓ/∂z = σ(z) − t
/// The sigmoid's derivative is included: do not multiply by it again. Throws ShapeError if a weight does not fit the
/// prediction, ValueError for a NaN among the targets (on the CPU).
template <class T = float>
class BCEWithLogitsLoss : public ElementLoss<T> {
 public:
  explicit BCEWithLogitsLoss(BCEWithLogitsLossOptions<T> options = {})
      : ElementLoss<T>(options.reduction), options_(std::move(options)) {}
  explicit BCEWithLogitsLoss(Reduction reduction) : ElementLoss<T>(reduction) {}
  formulas::ElementLoss formula() const override;

 protected:
  void forward_into(const Tensor<T>& z, const Tensor<T>& t, Tensor<T>& value) override;
  const Tensor<T>* weights() const override { return weight_.defined() ? &weight_ : nullptr; }
  const Tensor<T>* positive_weights() const override { return pos_weight_.defined() ? &pos_weight_ : nullptr; }

 private:
  BCEWithLogitsLossOptions<T> options_;
  Tensor<T> weight_, pos_weight_;  // the options', repeated to the prediction's shape
};

BCELoss()->BCELoss<float>;
BCELoss(BCELossOptions)->BCELoss<float>;
BCELoss(Reduction)->BCELoss<float>;
BCEWithLogitsLoss()->BCEWithLogitsLoss<float>;
BCEWithLogitsLoss(Reduction)->BCEWithLogitsLoss<float>;
BCEWithLogitsLoss(BCEWithLogitsLossOptions<float>)->BCEWithLogitsLoss<float>;

}  // namespace handgrad
