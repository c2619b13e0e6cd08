#pragma once
#include "handgrad/optim/optimizer.hpp"

namespace handgrad {

struct SGDOptions {
  double lr = 1e-3;
  double momentum = 0;
  double weight_decay = 0;
  bool nesterov = false;
};

/// Gradient descent, as torch.optim.SGD: for each parameter w with gradient g
///     g ← g + λ·w                     weight_decay λ
///     v ← µ·v + g  (first: v ← g)     momentum µ
///     w ← w − η·v,  with nesterov w ← w − η·(g + µ·v),  without momentum w ← w − η·g
/// Throws ValueError for a negative rate, and for nesterov without momentum.
template <class T = float>
class SGD : public GroupOptimizer<T, SGDOptions> {
 public:
  explicit SGD(std::vector<Parameter<T>> parameters, SGDOptions options = {})
      : SGD(std::vector<ParameterGroup<T, SGDOptions>>{{std::move(parameters), options}}) {}
  explicit SGD(std::vector<ParameterGroup<T, SGDOptions>> groups);
  trace::Derivation derivation(std::size_t i) const override;

 protected:
  formulas::UpdateRule rule(std::size_t group, std::int64_t step) const override;
  std::vector<std::string> state_names(std::size_t group) const override;
};

}  // namespace handgrad
