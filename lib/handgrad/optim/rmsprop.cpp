#include "handgrad/optim/rmsprop.hpp"

#include <cmath>

#include "handgrad/trace/derivation.hpp"
#include "kernels/formulas/optimizers.hpp"

namespace handgrad {

template <class T>
RMSprop<T>::RMSprop(std::vector<ParameterGroup<T, RMSpropOptions>> groups)
    : GroupOptimizer<T, RMSpropOptions>(std::move(groups)) {
  for (std::size_t g = 0; g < this->groups(); ++g) {
    const RMSpropOptions& o = this->options(g);
    detail::require_rates("RMSprop", {{"lr", o.lr, INFINITY},
                                      {"alpha", o.alpha, 1},
                                      {"eps", o.eps, INFINITY},
                                      {"weight_decay", o.weight_decay, INFINITY},
                                      {"momentum", o.momentum, INFINITY}});
  }
}

template <class T>
formulas::UpdateRule RMSprop<T>::rule(std::size_t group, std::int64_t) const {
  const RMSpropOptions& o = this->options(group);
  return formulas::RMSprop{o.lr, o.alpha, o.eps, o.weight_decay, o.momentum, o.centered};
}

template <class T>
std::vector<std::string> RMSprop<T>::state_names(std::size_t group) const {
  std::vector<std::string> names{"square_avg"};
  if (this->options(group).momentum > 0) names.push_back("momentum_buffer");
  if (this->options(group).centered) names.push_back("grad_avg");
  return names;
}

template <class T>
trace::Derivation RMSprop<T>::derivation(std::size_t i) const {
  const RMSpropOptions& o = this->options(this->group_of(i));
  const auto state = [&](std::size_t k) {
    const Tensor<T>& x = this->state_of(i, k);
    return x.defined() ? trace::array(x) : trace::constant(0);
  };
  using trace::Why;
  trace::Derivation d{.known = {{"η", trace::constant(o.lr)},
                                {"α", trace::constant(o.alpha)},
                                {"ε", trace::constant(o.eps)},
                                {"v", state(0)}}};
  if (o.weight_decay != 0) {
    d.forward.emplace_back("g = g + λ·w", Why{"Weight decay: each weight is drawn to 0, the more the larger it is."});
    d.known.emplace_back("λ", trace::constant(o.weight_decay));
  }
  d.forward.emplace_back("v = α·v + (1 − α)·g²",
                         Why{"The mean of the squared gradients, of late: how large they are."});
  if (o.centered) {
    d.known.emplace_back("a", state(o.momentum > 0 ? 2 : 1));
    d.forward.emplace_back("a = α·a + (1 − α)·g", Why{"The mean of the gradients, of late."});
  }
  d.forward.emplace_back(o.centered ? "d = sqrt(v − a²) + ε" : "d = sqrt(v) + ε",
                         Why{"How large the gradients are, of late: steep directions get smaller steps."});
  if (o.momentum > 0) {
    d.known.emplace_back("µ", trace::constant(o.momentum));
    d.known.emplace_back("b", state(1));
    d.forward.emplace_back("b = µ·b + g/d", Why{"The velocity of scaled gradients."});
  }
  d.forward.emplace_back(o.momentum > 0 ? "w = w − η·b" : "w = w − η·g/d",
                         Why{o.momentum > 0 ? "A step against the velocity, η long for each unit of it."
                                            : "A step against the gradient, in units of its usual size."});
  return d;
}

template class RMSprop<float>;
template class RMSprop<double>;

}  // namespace handgrad
