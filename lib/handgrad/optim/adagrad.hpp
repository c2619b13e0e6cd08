#pragma once
#include "handgrad/optim/optimizer.hpp"

namespace handgrad {

struct AdagradOptions {
  double lr = 1e-2;
  double lr_decay = 0;
  double weight_decay = 0;
  double initial_accumulator_value = 0;
  double eps = 1e-10;
};

/// Adagrad (Duchi, Hazan and Singer 2011), as torch.optim.Adagrad: in a parameter's step t, with gradient g
///     g ← g + λ·w                            weight_decay λ
///     v ← v + g²                             from initial_accumulator_value
///     w ← w − ηₜ·g/(√v + ε),  ηₜ = η/(1 + (t−1)·lr_decay)
/// Each weight has its own rate, which falls as its gradients add up: rare features keep large steps. Throws ValueError
/// for a negative rate.
template <class T = float>
class Adagrad : public GroupOptimizer<T, AdagradOptions> {
 public:
  explicit Adagrad(std::vector<Parameter<T>> parameters, AdagradOptions options = {})
      : Adagrad(std::vector<ParameterGroup<T, AdagradOptions>>{{std::move(parameters), options}}) {}
  explicit Adagrad(std::vector<ParameterGroup<T, AdagradOptions>> groups);
  trace::Derivation derivation(std::size_t i) const override;

 protected:
  formulas::UpdateRule rule(std::size_t group, std::int64_t step) const override;
  std::vector<std::string> state_names(std::size_t group) const override;
  T initial_state(std::size_t group) const override {
    return static_cast<T>(this->options(group).initial_accumulator_value);
  }
};

}  // namespace handgrad
