#pragma once
#include "handgrad/losses/element_loss.hpp"

namespace handgrad {

struct KLDivLossOptions {
  Reduction reduction = Reduction::Mean;
  bool log_target = false;  ///< the targets are logarithms too
  bool batchmean = false;   ///< Mean divides by the rows, giving the divergence: PyTorch's reduction="batchmean"
};

/// The Kullback–Leibler divergence of a distribution q = softmax(z) from the target t, for predictions p = log q, as
/// from LogSoftmax:
///     ℓ = t·(log t − p), 0 where t = 0,   ∂ℓ/∂p = −t;   with log_target ℓ = eᵗ·(t − p),   ∂ℓ/∂p = −eᵗ
/// As in PyTorch, element by element: a mean over all elements is the divergence divided by the number of classes;
/// `batchmean` is the mean over the rows. Its gradient is that of cross-entropy, from which it differs by Σ t·log t.
template <class T = float>
class KLDivLoss : public ElementLoss<T> {
 public:
  explicit KLDivLoss(KLDivLossOptions options = {}) : ElementLoss<T>(options.reduction), options_(options) {}
  explicit KLDivLoss(Reduction reduction) : KLDivLoss(KLDivLossOptions{.reduction = reduction}) {}
  formulas::ElementLoss formula() const override;

 protected:
  std::size_t divisor(const Shape& prediction) const override;

 private:
  KLDivLossOptions options_;
};

KLDivLoss()->KLDivLoss<float>;
KLDivLoss(KLDivLossOptions)->KLDivLoss<float>;
KLDivLoss(Reduction)->KLDivLoss<float>;

}  // namespace handgrad
