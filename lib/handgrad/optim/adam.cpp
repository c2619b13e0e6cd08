#include "handgrad/optim/adam.hpp"

#include <cmath>

#include "handgrad/base/elementary.hpp"
#include "handgrad/trace/derivation.hpp"
#include "kernels/formulas/optimizers.hpp"

namespace handgrad {

namespace {

template <class Options>
void check(const char* optimizer, const Options& o) {
  detail::require_rates(optimizer, {{"lr", o.lr, INFINITY},
                                    {"betas[0]", o.betas[0], 1},
                                    {"betas[1]", o.betas[1], 1},
                                    {"eps", o.eps, INFINITY},
                                    {"weight_decay", o.weight_decay, INFINITY}});
}

template <class Options>
formulas::Adam rule_of(const Options& o, bool decoupled, std::int64_t step) {
  const auto t = static_cast<double>(step);
  return {o.lr,
          o.betas[0],
          o.betas[1],
          o.eps,
          o.weight_decay,
          decoupled,
          o.amsgrad,
          1 - detail::elementary_pow(o.betas[0], t),
          std::sqrt(1 - detail::elementary_pow(o.betas[1], t))};
}

template <class T>
trace::Array array_or_zero(const Tensor<T>& x) {
  return x.defined() ? trace::array(x) : trace::constant(0);
}

// The rule of step number `step`, from the states before it.
template <class Options, class T>
trace::Derivation derivation_of(const Options& o, bool decoupled, std::int64_t step, const Tensor<T>& m,
                                const Tensor<T>& v, const Tensor<T>& u) {
  using trace::Why;
  trace::Derivation d{.known = {{"η", trace::constant(o.lr)},
                                {"β₁", trace::constant(o.betas[0])},
                                {"β₂", trace::constant(o.betas[1])},
                                {"ε", trace::constant(o.eps)},
                                {"t", trace::constant(static_cast<double>(step))},
                                {"m", array_or_zero(m)},
                                {"v", array_or_zero(v)}}};
  if (o.weight_decay != 0) {
    d.forward.emplace_back(decoupled ? "w = w − η·λ·w" : "g = g + λ·w",
                           Why{"Weight decay: each weight is drawn to 0, the more the larger it is."});
    d.known.emplace_back("λ", trace::constant(o.weight_decay));
  }
  d.forward.emplace_back("m = β₁·m + (1 − β₁)·g", Why{"The mean of the gradients, of late: the direction."});
  d.forward.emplace_back("v = β₂·v + (1 − β₂)·g²",
                         Why{"The mean of the squared gradients, of late: how large they are."});
  if (o.amsgrad) {
    d.forward.emplace_back("u = max(u, v)",
                           Why{"The largest that v has been: steps do not grow again when gradients shrink."});
    d.known.emplace_back("u", array_or_zero(u));
  }
  d.forward.emplace_back(o.amsgrad ? "w = w − η·(m/(1 − β₁^t))/(sqrt(u/(1 − β₂^t)) + ε)"
                                   : "w = w − η·(m/(1 − β₁^t))/(sqrt(v/(1 − β₂^t)) + ε)",
                         Why{"A step against the mean gradient, in units of its usual size: about η long for every "
                             "weight. 1 − βᵗ makes up for means that began at 0."});
  return d;
}

template <class Options>
std::vector<std::string> states_of(const Options& o) {
  std::vector<std::string> names{"exp_avg", "exp_avg_sq"};
  if (o.amsgrad) names.emplace_back("max_exp_avg_sq");
  return names;
}

}  // namespace

template <class T>
Adam<T>::Adam(std::vector<ParameterGroup<T, AdamOptions>> groups) : GroupOptimizer<T, AdamOptions>(std::move(groups)) {
  for (std::size_t g = 0; g < this->groups(); ++g) check("Adam", this->options(g));
}

template <class T>
formulas::UpdateRule Adam<T>::rule(std::size_t group, std::int64_t step) const {
  return rule_of(this->options(group), false, step);
}

template <class T>
std::vector<std::string> Adam<T>::state_names(std::size_t group) const {
  return states_of(this->options(group));
}

template <class T>
trace::Derivation Adam<T>::derivation(std::size_t i) const {
  return derivation_of(this->options(this->group_of(i)), false, this->steps_of(i) + 1, this->state_of(i, 0),
                       this->state_of(i, 1), this->state_of(i, 2));
}

template <class T>
AdamW<T>::AdamW(std::vector<ParameterGroup<T, AdamWOptions>> groups)
    : GroupOptimizer<T, AdamWOptions>(std::move(groups)) {
  for (std::size_t g = 0; g < this->groups(); ++g) check("AdamW", this->options(g));
}

template <class T>
formulas::UpdateRule AdamW<T>::rule(std::size_t group, std::int64_t step) const {
  return rule_of(this->options(group), true, step);
}

template <class T>
std::vector<std::string> AdamW<T>::state_names(std::size_t group) const {
  return states_of(this->options(group));
}

template <class T>
trace::Derivation AdamW<T>::derivation(std::size_t i) const {
  return derivation_of(this->options(this->group_of(i)), true, this->steps_of(i) + 1, this->state_of(i, 0),
                       this->state_of(i, 1), this->state_of(i, 2));
}

template class Adam<float>;
template class Adam<double>;
template class AdamW<float>;
template class AdamW<double>;

}  // namespace handgrad
