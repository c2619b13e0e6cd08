#pragma once
#include "handgrad/optim/optimizer.hpp"

namespace handgrad {

struct AdamOptions {
  double lr = 1e-3;
  std::array<double, 2> betas = {0.9, 0.999};
  double eps = 1e-8;
  double weight_decay = 0;
  bool amsgrad = false;
};
struct AdamWOptions {
  double lr = 1e-3;
  std::array<double, 2> betas = {0.9, 0.999};
  double eps = 1e-8;
  double weight_decay = 1e-2;
  bool amsgrad = false;
};

/// Adam (Kingma and Ba 2015), as torch.optim.Adam: in a parameter's step t, with gradient g
///     g ← g + λ·w                                       weight_decay λ: the gradient of ½λw²
///     m ← β₁·m + (1−β₁)·g,  v ← β₂·v + (1−β₂)·g²        running means of g and g², from 0
///     w ← w − η·(m/(1−β₁ᵗ)) / (√(v/(1−β₂ᵗ)) + ε)        both unbiased: with g constant, m = (1−β₁ᵗ)·g
/// With amsgrad (Reddi, Kale and Kumar 2018) the largest v so far, u ← max(u, v), takes the place of v in that step:
/// where large gradients are rare, Adam forgets them and its steps grow again.
/// Throws ValueError for a negative rate and for a β outside [0, 1).
template <class T = float>
class Adam : public GroupOptimizer<T, AdamOptions> {
 public:
  explicit Adam(std::vector<Parameter<T>> parameters, AdamOptions options = {})
      : Adam(std::vector<ParameterGroup<T, AdamOptions>>{{std::move(parameters), options}}) {}
  explicit Adam(std::vector<ParameterGroup<T, AdamOptions>> groups);
  trace::Derivation derivation(std::size_t i) const override;

 protected:
  formulas::UpdateRule rule(std::size_t group, std::int64_t step) const override;
  std::vector<std::string> state_names(std::size_t group) const override;
};

/// Adam with decoupled weight decay (Loshchilov and Hutter 2019), as torch.optim.AdamW: first w ← w − η·λ·w, then
/// Adam's step without decay. The decay is not divided by √v, so all weights decay alike.
template <class T = float>
class AdamW : public GroupOptimizer<T, AdamWOptions> {
 public:
  explicit AdamW(std::vector<Parameter<T>> parameters, AdamWOptions options = {})
      : AdamW(std::vector<ParameterGroup<T, AdamWOptions>>{{std::move(parameters), options}}) {}
  explicit AdamW(std::vector<ParameterGroup<T, AdamWOptions>> groups);
  trace::Derivation derivation(std::size_t i) const override;

 protected:
  formulas::UpdateRule rule(std::size_t group, std::int64_t step) const override;
  std::vector<std::string> state_names(std::size_t group) const override;
};

}  // namespace handgrad
