#pragma once
#include "handgrad/optim/optimizer.hpp"

namespace handgrad {

struct NAdamOptions {
  double lr = 2e-3;
  std::array<double, 2> betas = {0.9, 0.999};
  double eps = 1e-8;
  double weight_decay = 0;
  double momentum_decay = 4e-3;
  bool decoupled_weight_decay = false;  ///< as AdamW's
};

/// Adam with Nesterov momentum (Dozat 2016), as torch.optim.NAdam: in a parameter's step t, with gradient g
///     g ← g + λ·w, or decoupled: w ← w − η·λ·w
///     m ← β₁·m + (1−β₁)·g,  v ← β₂·v + (1−β₂)·g²
///     µₜ = β₁·(1 − ½·0.96^(t·ψ))             ψ = momentum_decay: the momentum grows from β₁/2 to β₁
///     w ← w − η·[(1−µₜ)·g/(1−Πₜ) + µₜ₊₁·m/(1−µₜ₊₁·Πₜ)] / (√(v/(1−β₂ᵗ)) + ε),   Πₜ = µ₁·…·µₜ
/// The bracket estimates the mean of the gradients one step ahead. Throws ValueError for a negative rate and for a β
/// outside [0, 1).
template <class T = float>
class NAdam : public GroupOptimizer<T, NAdamOptions> {
 public:
  explicit NAdam(std::vector<Parameter<T>> parameters, NAdamOptions options = {})
      : NAdam(std::vector<ParameterGroup<T, NAdamOptions>>{{std::move(parameters), options}}) {}
  explicit NAdam(std::vector<ParameterGroup<T, NAdamOptions>> groups);
  trace::Derivation derivation(std::size_t i) const override;

 protected:
  formulas::UpdateRule rule(std::size_t group, std::int64_t step) const override;
  std::vector<std::string> state_names(std::size_t group) const override;

 private:
  /// µ₁·…·µₜ of a group as a running product; the next step needs one more factor.
  struct Product {
    std::int64_t step = 0;
    double value = 1, beta1 = 0;
  };
  double momentum_product(std::size_t group, std::int64_t step) const;
  mutable std::vector<Product> products_;
};

}  // namespace handgrad
