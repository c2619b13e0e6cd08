#pragma once
#include "handgrad/optim/optimizer.hpp"

namespace handgrad {

struct RMSpropOptions {
  double lr = 1e-2;
  double alpha = 0.99;
  double eps = 1e-8;
  double weight_decay = 0;
  double momentum = 0;
  bool centered = false;
};

/// RMSprop (Tieleman and Hinton 2012), as torch.optim.RMSprop: for each parameter w with gradient g
///     g ← g + λ·w                                 weight_decay λ
///     v ← α·v + (1−α)·g²                          running mean of the squares, from 0
///     d = √v + ε;  centered, with the running mean a of g:  d = √(v − a²) + ε   (Graves 2013)
///     w ← w − η·g/d,  with momentum µ:  b ← µ·b + g/d,  w ← w − η·b
/// Throws ValueError for a negative rate and for an α outside [0, 1).
template <class T = float>
class RMSprop : public GroupOptimizer<T, RMSpropOptions> {
 public:
  explicit RMSprop(std::vector<Parameter<T>> parameters, RMSpropOptions options = {})
      : RMSprop(std::vector<ParameterGroup<T, RMSpropOptions>>{{std::move(parameters), options}}) {}
  explicit RMSprop(std::vector<ParameterGroup<T, RMSpropOptions>> groups);
  trace::Derivation derivation(std::size_t i) const override;

 protected:
  formulas::UpdateRule rule(std::size_t group, std::int64_t step) const override;
  std::vector<std::string> state_names(std::size_t group) const override;
};

}  // namespace handgrad
