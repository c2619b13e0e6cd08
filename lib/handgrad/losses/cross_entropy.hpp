#pragma once
#include <cstdint>

#include "handgrad/contract/loss.hpp"

namespace handgrad {

/// `weight`: one factor w per class (C), undefined for 1. `ignore_index`: a row with this target has no loss and no
/// gradient, and does not count in a mean (padding, an unknown label).
template <class T>
struct ClassLossOptions {
  Tensor<T> weight = {};
  std::int64_t ignore_index = -100;
  Reduction reduction = Reduction::Mean;
};

/// `label_smoothing` ε: the target t becomes (1−ε)·t + ε/C, so that no class is excluded entirely.
template <class T>
struct CrossEntropyLossOptions {
  Tensor<T> weight = {};
  std::int64_t ignore_index = -100;
  Reduction reduction = Reduction::Mean;
  double label_smoothing = 0;
};

/// The common part of the losses over rows: predictions p (N×C), one example per row, or (C,) for a single one. Targets
/// are either classes, t (N) with elements 0 … C−1 (of type T, like all tensors), or distributions, t (N×C): one-hot or
/// soft. None keeps one loss per row, (N). Mean divides by N or, for classes, by Σₙ w(tₙ) over the rows that are not
/// ignored, as in PyTorch; if all are ignored, the mean is NaN.
///
/// Throws ShapeError for other shapes, ValueError for a class that does not exist (such as NaN).
template <class T>
class RowLoss : public Loss<T> {
 public:
  explicit RowLoss(ClassLossOptions<T> options)
      : Loss<T>(options.reduction),
        weight_(std::move(options.weight)),
        ignored_(static_cast<T>(options.ignore_index)) {}
  trace::Derivation derivation(const Shape& prediction, const Shape& target) const override;
  /// The number of rows that are not ignored, or Σₙ w(tₙ) for classes with weights. Waits for a GPU.
  double averaged_over() const override;

 protected:
  /// What a row of the prediction holds: logits, logarithms of probabilities, or probabilities.
  enum class Kind { CrossEntropy, NegativeLogLikelihood, Categorical };
  virtual Kind kind() const = 0;
  Shape losses_shape(const Shape& prediction, const Shape& target) const override;
  void forward_into(const Tensor<T>& p, const Tensor<T>& t, Tensor<T>& value) override;
  void backward_into(const Tensor<T>& p, const Tensor<T>& t, Tensor<T>& dp) override;
  virtual T smoothing() const { return T(0); }

 private:
  Tensor<T> weight_, divisor_;
  T ignored_;
};

/// Softmax and cross-entropy in one, for logits z: with p = softmax(z) and class weights w
///     ℓ = −Σⱼ wⱼ·tⱼ·log pⱼ = −Σⱼ wⱼ·tⱼ·(zⱼ − log Σₖ e^(zₖ))
/// Derivation: ∂(log pⱼ)/∂zᵢ = 1[i=j] − pᵢ   ⇒   ∂ℓ/∂zᵢ = −wᵢtᵢ + pᵢ·Σⱼ wⱼtⱼ;   for one class t without weights: p − t.
/// With label_smoothing ε, (1−ε)·t + ε/C replaces t (Szegedy et al. 2016); the mean's divisor stays.
/// Throws ValueError for an ε outside [0, 1].
template <class T = float>
class CrossEntropyLoss : public RowLoss<T> {
 public:
  explicit CrossEntropyLoss(CrossEntropyLossOptions<T> options = {});
  explicit CrossEntropyLoss(Reduction reduction)
      : CrossEntropyLoss(CrossEntropyLossOptions<T>{.reduction = reduction}) {}

 protected:
  typename RowLoss<T>::Kind kind() const override { return RowLoss<T>::Kind::CrossEntropy; }
  T smoothing() const override { return smoothing_; }

 private:
  T smoothing_;
};

/// For log-probabilities, as from LogSoftmax:
///     ℓ = −w(t)·p[t],   ∂ℓ/∂pⱼ = −wⱼ·tⱼ (tⱼ one-hot)
template <class T = float>
class NLLLoss : public RowLoss<T> {
 public:
  explicit NLLLoss(ClassLossOptions<T> options = {}) : RowLoss<T>(std::move(options)) {}
  explicit NLLLoss(Reduction reduction) : RowLoss<T>({.reduction = reduction}) {}

 protected:
  typename RowLoss<T>::Kind kind() const override { return RowLoss<T>::Kind::NegativeLogLikelihood; }
};

/// For probabilities, as from Softmax:
///     ℓ = −Σⱼ wⱼ·tⱼ·log pⱼ,   ∂ℓ/∂pⱼ = −wⱼ·tⱼ/pⱼ
/// A probability of 0 where t is not 0 gives ∞, which CrossEntropyLoss on logits avoids.
template <class T = float>
class CategoricalCrossEntropyLoss : public RowLoss<T> {
 public:
  explicit CategoricalCrossEntropyLoss(ClassLossOptions<T> options = {}) : RowLoss<T>(std::move(options)) {}
  explicit CategoricalCrossEntropyLoss(Reduction reduction) : RowLoss<T>({.reduction = reduction}) {}

 protected:
  typename RowLoss<T>::Kind kind() const override { return RowLoss<T>::Kind::Categorical; }
};

CrossEntropyLoss()->CrossEntropyLoss<float>;
CrossEntropyLoss(Reduction)->CrossEntropyLoss<float>;
CrossEntropyLoss(CrossEntropyLossOptions<float>)->CrossEntropyLoss<float>;
NLLLoss()->NLLLoss<float>;
NLLLoss(Reduction)->NLLLoss<float>;
NLLLoss(ClassLossOptions<float>)->NLLLoss<float>;
CategoricalCrossEntropyLoss()->CategoricalCrossEntropyLoss<float>;
CategoricalCrossEntropyLoss(Reduction)->CategoricalCrossEntropyLoss<float>;
CategoricalCrossEntropyLoss(ClassLossOptions<float>)->CategoricalCrossEntropyLoss<float>;

}  // namespace handgrad
