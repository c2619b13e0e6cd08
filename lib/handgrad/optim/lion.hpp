#pragma once
#include "handgrad/optim/optimizer.hpp"

namespace handgrad {

struct LionOptions {
  double lr = 1e-4;
  std::array<double, 2> betas = {0.9, 0.99};
  double weight_decay = 0;
};

/// Lion (Chen et al. 2023, "Symbolic discovery of optimization algorithms", program 1; not in PyTorch): for each
/// parameter w with gradient g
///     w ← w − η·λ·w                          weight_decay λ, decoupled
///     w ← w − η·sign(β₁·m + (1−β₁)·g)        every weight moves by η: use a rate 3 to 10 times smaller than Adam's
///     m ← β₂·m + (1−β₂)·g                    running mean of the gradients, from 0
/// It keeps one state where Adam keeps two. Throws ValueError for a negative rate and for a β outside [0, 1).
template <class T = float>
class Lion : public GroupOptimizer<T, LionOptions> {
 public:
  explicit Lion(std::vector<Parameter<T>> parameters, LionOptions options = {})
      : Lion(std::vector<ParameterGroup<T, LionOptions>>{{std::move(parameters), options}}) {}
  explicit Lion(std::vector<ParameterGroup<T, LionOptions>> groups);
  trace::Derivation derivation(std::size_t i) const override;

 protected:
  formulas::UpdateRule rule(std::size_t group, std::int64_t step) const override;
  std::vector<std::string> state_names(std::size_t group) const override;
};

}  // namespace handgrad
