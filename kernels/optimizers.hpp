#pragma once
// Optimizer steps, and the clipping of gradients before them, for all parameters at once.
#include <array>
#include <span>
#include <type_traits>

#include "kernels/formulas/optimizers.hpp"
#include "kernels/view.hpp"

namespace handgrad::kernels {

/// One parameter in an optimizer's step.
template <class T>
struct Update {
  Vector<T> value;
  const T* grad;
  std::array<T*, formulas::UpdateRule::most_states> state;  // as many as the rule has, then null
  formulas::UpdateRule rule;
};

/// Whether the rule can have this many states; other cases are not compiled.
template <class Rule>
constexpr bool may_have(int states) {
  using namespace formulas;
  if constexpr (std::is_same_v<Rule, SGD>)
    return states <= 1;
  else if constexpr (std::is_same_v<Rule, RMSprop>)
    return states >= 1;
  else if constexpr (std::is_same_v<Rule, Adam>)
    return states >= 2;
  else
    return states == Rule{}.states();
}

template <class T>
class Optimizers {
 public:
  virtual ~Optimizers() = default;

  virtual void optimize(std::span<const Update<T>> updates) = 0;
  /// *norm = ‖all gradients as one vector‖ₚ, p ≥ 1 or ∞; each gradient is then multiplied by min(1, max_norm/(norm +
  /// 1e-6)).
  virtual void clip_norm(std::span<const Vector<T>> grads, T max_norm, double p, T* norm) = 0;
  /// *norm = ‖x‖₂, then x ← x/max(*norm, eps).
  virtual void normalize(Vector<T> x, T eps, T* norm) = 0;
  /// Clamps each element to [−bound, bound].
  virtual void clip_value(std::span<const Vector<T>> grads, T bound) = 0;
};

/// On device D: cpu/optimizers.cpp, cuda/optimizers.cu.
template <class D, class T>
class OptimizersOn final : public Optimizers<T> {
 public:
  explicit OptimizersOn(D& device) : device_(device) {}
  void optimize(std::span<const Update<T>> updates) override;
  void clip_norm(std::span<const Vector<T>> grads, T max_norm, double p, T* norm) override;
  void normalize(Vector<T> x, T eps, T* norm) override;
  void clip_value(std::span<const Vector<T>> grads, T bound) override;

 private:
  [[maybe_unused]] D& device_;
};

}  // namespace handgrad::kernels
