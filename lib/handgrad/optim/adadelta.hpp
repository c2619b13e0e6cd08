#pragma once
#include "handgrad/optim/optimizer.hpp"

namespace handgrad {

struct AdadeltaOptions {
  double lr = 1;
  double rho = 0.9;
  double eps = 1e-6;
  double weight_decay = 0;
};

/// Adadelta (Zeiler 2012), as torch.optim.Adadelta: for each parameter w with gradient g
///     g ← g + λ·w                            weight_decay λ
///     v ← ρ·v + (1−ρ)·g²                     running mean of the squared gradients, from 0
///     d = g·√(u + ε)/√(v + ε)
///     u ← ρ·u + (1−ρ)·d²                     running mean of the squared steps, from 0
///     w ← w − η·d
/// The step has the unit of w, whatever that of L, so that η = 1 fits. Throws ValueError for a negative rate and for ρ
/// outside [0, 1).
template <class T = float>
class Adadelta : public GroupOptimizer<T, AdadeltaOptions> {
 public:
  explicit Adadelta(std::vector<Parameter<T>> parameters, AdadeltaOptions options = {})
      : Adadelta(std::vector<ParameterGroup<T, AdadeltaOptions>>{{std::move(parameters), options}}) {}
  explicit Adadelta(std::vector<ParameterGroup<T, AdadeltaOptions>> groups);
  trace::Derivation derivation(std::size_t i) const override;

 protected:
  formulas::UpdateRule rule(std::size_t group, std::int64_t step) const override;
  std::vector<std::string> state_names(std::size_t group) const override;
};

}  // namespace handgrad
