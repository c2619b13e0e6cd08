#include "handgrad/optim/adagrad.hpp"

#include <cmath>

#include "handgrad/trace/derivation.hpp"
#include "kernels/formulas/optimizers.hpp"

namespace handgrad {

template <class T>
Adagrad<T>::Adagrad(std::vector<ParameterGroup<T, AdagradOptions>> groups)
    : GroupOptimizer<T, AdagradOptions>(std::move(groups)) {
  for (std::size_t g = 0; g < this->groups(); ++g) {
    const AdagradOptions& o = this->options(g);
    detail::require_rates("Adagrad", {{"lr", o.lr, INFINITY},
                                      {"lr_decay", o.lr_decay, INFINITY},
                                      {"weight_decay", o.weight_decay, INFINITY},
                                      {"initial_accumulator_value", o.initial_accumulator_value, INFINITY},
                                      {"eps", o.eps, INFINITY}});
  }
}

// ηₜ = η/(1 + (t−1)·lr_decay)
static double rate(const AdagradOptions& o, std::int64_t step) {
  return o.lr / (1 + static_cast<double>(step - 1) * o.lr_decay);
}

template <class T>
formulas::UpdateRule Adagrad<T>::rule(std::size_t group, std::int64_t step) const {
  const AdagradOptions& o = this->options(group);
  return formulas::Adagrad{rate(o, step), o.weight_decay, o.eps};
}

template <class T>
std::vector<std::string> Adagrad<T>::state_names(std::size_t) const {
  return {"sum"};
}

template <class T>
trace::Derivation Adagrad<T>::derivation(std::size_t i) const {
  const AdagradOptions& o = this->options(this->group_of(i));
  const Tensor<T>& v = this->state_of(i, 0);
  using trace::Why;
  trace::Derivation d{.known = {{"η", trace::constant(rate(o, this->steps_of(i) + 1))},
                                {"ε", trace::constant(o.eps)},
                                {"v", v.defined() ? trace::array(v) : trace::constant(o.initial_accumulator_value)}}};
  if (o.weight_decay != 0) {
    d.forward.emplace_back("g = g + λ·w", Why{"Weight decay: each weight is drawn to 0, the more the larger it is."});
    d.known.emplace_back("λ", trace::constant(o.weight_decay));
  }
  d.forward.emplace_back("v = v + g²",
                         Why{"The squared gradients, added up: a weight that has moved much moves less."});
  d.forward.emplace_back(
      "w = w − η·g/(sqrt(v) + ε)",
      Why{"A step against the gradient, the shorter the more this weight's gradients have added up to."});
  return d;
}

template class Adagrad<float>;
template class Adagrad<double>;

}  // namespace handgrad
