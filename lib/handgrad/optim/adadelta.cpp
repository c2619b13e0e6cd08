#include "handgrad/optim/adadelta.hpp"

#include <cmath>

#include "handgrad/trace/derivation.hpp"
#include "kernels/formulas/optimizers.hpp"

namespace handgrad {

template <class T>
Adadelta<T>::Adadelta(std::vector<ParameterGroup<T, AdadeltaOptions>> groups)
    : GroupOptimizer<T, AdadeltaOptions>(std::move(groups)) {
  for (std::size_t g = 0; g < this->groups(); ++g) {
    const AdadeltaOptions& o = this->options(g);
    detail::require_rates("Adadelta", {{"lr", o.lr, INFINITY},
                                       {"rho", o.rho, 1},
                                       {"eps", o.eps, INFINITY},
                                       {"weight_decay", o.weight_decay, INFINITY}});
  }
}

template <class T>
formulas::UpdateRule Adadelta<T>::rule(std::size_t group, std::int64_t) const {
  const AdadeltaOptions& o = this->options(group);
  return formulas::Adadelta{o.lr, o.rho, o.eps, o.weight_decay};
}

template <class T>
std::vector<std::string> Adadelta<T>::state_names(std::size_t) const {
  return {"square_avg", "acc_delta"};
}

template <class T>
trace::Derivation Adadelta<T>::derivation(std::size_t i) const {
  const AdadeltaOptions& o = this->options(this->group_of(i));
  const auto state = [&](std::size_t k) {
    const Tensor<T>& x = this->state_of(i, k);
    return x.defined() ? trace::array(x) : trace::constant(0);
  };
  using trace::Why;
  trace::Derivation d{.known = {{"η", trace::constant(o.lr)},
                                {"ρ", trace::constant(o.rho)},
                                {"ε", trace::constant(o.eps)},
                                {"v", state(0)},
                                {"u", state(1)}}};
  if (o.weight_decay != 0) {
    d.forward.emplace_back("g = g + λ·w", Why{"Weight decay: each weight is drawn to 0, the more the larger it is."});
    d.known.emplace_back("λ", trace::constant(o.weight_decay));
  }
  d.forward.emplace_back("v = ρ·v + (1 − ρ)·g²",
                         Why{"The mean of the squared gradients, of late: how large they are."});
  d.forward.emplace_back("d = g·sqrt(u + ε)/sqrt(v + ε)",
                         Why{"The gradient, scaled from the size of gradients to the size of steps."});
  d.forward.emplace_back("u = ρ·u + (1 − ρ)·d²", Why{"The mean of the squared steps, of late."});
  d.forward.emplace_back("w = w − η·d", Why{"A step against the gradient, about as long as the steps before."});
  return d;
}

template class Adadelta<float>;
template class Adadelta<double>;

}  // namespace handgrad
