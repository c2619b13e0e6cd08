#pragma once
// Losses of elements, and of rows with one target each.
#include <optional>

#include "kernels/device.hpp"
#include "kernels/formulas/losses.hpp"
#include "kernels/view.hpp"

namespace handgrad::kernels {

enum class Reduction { None, Mean, Sum };

/// ℓ of a row of predictions p, for a target distribution t and weights w of the classes:
enum class RowLoss {
  CrossEntropy,           // ℓ = −Σⱼ wⱼ·tⱼ·log softmax(p)ⱼ   p are logits
  NegativeLogLikelihood,  // ℓ = −Σⱼ wⱼ·tⱼ·pⱼ                p are logarithms of probabilities
  Categorical,            // ℓ = −Σⱼ wⱼ·tⱼ·log pⱼ            p are probabilities
};

/// Targets of rows: one class each (N), or a distribution over all classes (N×C). A row whose class is `ignored` costs
/// nothing and does not count. `smoothing` ε replaces t by (1−ε)·t + ε/C.
template <class T>
struct Targets {
  const T* data;
  bool are_classes;
  T ignored = T(-100), smoothing = T(0);
};

template <class T>
class Losses {
 public:
  virtual ~Losses() = default;

  /// Elements: ℓᵢ = wᵢ·f(pᵢ, tᵢ, qᵢ); w and q may be null (1). *value = a·Σℓ, or all ℓ for Reduction::None.
  virtual void element_forward(const formulas::ElementLoss& f, Vector<const T> p, Vector<const T> t, Vector<const T> w,
                               Vector<const T> q, Reduction reduction, T a, T* value) = 0;
  /// dpᵢ = a·wᵢ·∂f/∂p
  virtual void element_backward(const formulas::ElementLoss& f, Vector<const T> p, Vector<const T> t, Vector<const T> w,
                                Vector<const T> q, T a, Vector<T> dp) = 0;
  /// Rows: p (N×C), w class weights (C) or null. Mean divides by N or, where t are classes, by Σᵢ w(tᵢ) over the rows
  /// that count; the divisor is kept for the backward. *value = Σℓ/divisor, or all ℓ (N) for Reduction::None. Returns
  /// the first target that is no class, where the device knows at once; a GPU reports it with its next download
  /// (`Raise`). The computed values are then meaningless.
  virtual std::optional<BadClass> row_forward(RowLoss loss, Matrix<const T> p, Targets<T> t, Vector<const T> w,
                                              Reduction reduction, T* divisor, T* value) = 0;
  /// dp = ∂(Σℓ/divisor)/∂p. Returns what `row_forward` does.
  virtual std::optional<BadClass> row_backward(RowLoss loss, Matrix<const T> p, Targets<T> t, Vector<const T> w,
                                               const T* divisor, Matrix<T> dp) = 0;
};

/// On device D: cpu/losses.cpp, cuda/losses.cu.
template <class D, class T>
class LossesOn final : public Losses<T> {
 public:
  explicit LossesOn(D& device) : device_(device) {}
  void element_forward(const formulas::ElementLoss& f, Vector<const T> p, Vector<const T> t, Vector<const T> w,
                       Vector<const T> q, Reduction reduction, T a, T* value) override;
  void element_backward(const formulas::ElementLoss& f, Vector<const T> p, Vector<const T> t, Vector<const T> w,
                        Vector<const T> q, T a, Vector<T> dp) override;
  std::optional<BadClass> row_forward(RowLoss loss, Matrix<const T> p, Targets<T> t, Vector<const T> w,
                                      Reduction reduction, T* divisor, T* value) override;
  std::optional<BadClass> row_backward(RowLoss loss, Matrix<const T> p, Targets<T> t, Vector<const T> w,
                                       const T* divisor, Matrix<T> dp) override;

 private:
  [[maybe_unused]] D& device_;
};

}  // namespace handgrad::kernels
