#include "handgrad/optim/sgd.hpp"

#include <cmath>

#include "handgrad/trace/derivation.hpp"
#include "kernels/formulas/optimizers.hpp"

namespace handgrad {

template <class T>
SGD<T>::SGD(std::vector<ParameterGroup<T, SGDOptions>> groups) : GroupOptimizer<T, SGDOptions>(std::move(groups)) {
  for (std::size_t g = 0; g < this->groups(); ++g) {
    const SGDOptions& o = this->options(g);
    detail::require_rates(
        "SGD",
        {{"lr", o.lr, INFINITY}, {"momentum", o.momentum, INFINITY}, {"weight_decay", o.weight_decay, INFINITY}});
    if (o.nesterov && o.momentum == 0) throw ValueError("SGD: nesterov needs a momentum > 0");
  }
}

template <class T>
formulas::UpdateRule SGD<T>::rule(std::size_t group, std::int64_t) const {
  const SGDOptions& o = this->options(group);
  return formulas::SGD{o.lr, o.momentum, o.weight_decay, o.nesterov};
}

template <class T>
std::vector<std::string> SGD<T>::state_names(std::size_t group) const {
  if (this->options(group).momentum == 0) return {};
  return {"momentum_buffer"};
}

template <class T>
trace::Derivation SGD<T>::derivation(std::size_t i) const {
  const SGDOptions& o = this->options(this->group_of(i));
  const Tensor<T>& v = this->state_of(i, 0);
  using trace::Why;
  trace::Derivation d{.known = {{"η", trace::constant(o.lr)}}};
  if (o.weight_decay != 0) {
    d.forward.emplace_back("g = g + λ·w", Why{"Weight decay: each weight is drawn to 0, the more the larger it is."});
    d.known.emplace_back("λ", trace::constant(o.weight_decay));
  }
  if (o.momentum == 0) {
    d.forward.emplace_back(
        "w = w − η·g",
        Why{"The gradient points to where L grows fastest: a step against it, η long for each unit of slope."});
    return d;
  }
  d.known.emplace_back("µ", trace::constant(o.momentum));
  if (v.defined()) d.known.emplace_back("v", trace::array(v));
  d.forward.emplace_back(
      v.defined() ? "v = µ·v + g" : "v = g",
      Why{"The velocity keeps a share µ of what it was: steps in one direction add up, to and fro cancels."});
  d.forward.emplace_back(
      o.nesterov ? "w = w − η·(g + µ·v)" : "w = w − η·v",
      Why{o.nesterov ? "A step against the velocity as it will be: the gradient at hand counts once more."
                     : "A step against the velocity, η long for each unit of it."});
  return d;
}

template class SGD<float>;
template class SGD<double>;

}  // namespace handgrad
