#include "handgrad/optim/lion.hpp"

#include <cmath>

#include "handgrad/trace/derivation.hpp"
#include "kernels/formulas/optimizers.hpp"

namespace handgrad {

template <class T>
Lion<T>::Lion(std::vector<ParameterGroup<T, LionOptions>> groups) : GroupOptimizer<T, LionOptions>(std::move(groups)) {
  for (std::size_t g = 0; g < this->groups(); ++g) {
    const LionOptions& o = this->options(g);
    detail::require_rates("Lion", {{"lr", o.lr, INFINITY},
                                   {"betas[0]", o.betas[0], 1},
                                   {"betas[1]", o.betas[1], 1},
                                   {"weight_decay", o.weight_decay, INFINITY}});
  }
}

template <class T>
formulas::UpdateRule Lion<T>::rule(std::size_t group, std::int64_t) const {
  const LionOptions& o = this->options(group);
  return formulas::Lion{o.lr, o.betas[0], o.betas[1], o.weight_decay};
}

template <class T>
std::vector<std::string> Lion<T>::state_names(std::size_t) const {
  return {"exp_avg"};
}

template <class T>
trace::Derivation Lion<T>::derivation(std::size_t i) const {
  const LionOptions& o = this->options(this->group_of(i));
  const Tensor<T>& m = this->state_of(i, 0);
  using trace::Why;
  trace::Derivation d{.known = {{"η", trace::constant(o.lr)},
                                {"β₁", trace::constant(o.betas[0])},
                                {"β₂", trace::constant(o.betas[1])},
                                {"m", m.defined() ? trace::array(m) : trace::constant(0)}}};
  if (o.weight_decay != 0) {
    d.forward.emplace_back("w = w − η·λ·w", Why{"Weight decay: each weight is drawn to 0, the more the larger it is."});
    d.known.emplace_back("λ", trace::constant(o.weight_decay));
  }
  d.forward.emplace_back("u = β₁·m + (1 − β₁)·g",
                         Why{"Of the mean and the gradient at hand only the sign will count."});
  d.forward.emplace_back("m = β₂·m + (1 − β₂)·g",
                         Why{"The mean of the gradients, over a longer time than u looks at."});
  d.forward.emplace_back("w = w − η·sign(u)",
                         Why{"A step of the same length η for every weight: only which way counts."});
  return d;
}

template class Lion<float>;
template class Lion<double>;

}  // namespace handgrad
