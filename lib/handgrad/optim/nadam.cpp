#include "handgrad/optim/nadam.hpp"

#include <cmath>

#include "handgrad/base/elementary.hpp"
#include "handgrad/trace/derivation.hpp"
#include "kernels/formulas/optimizers.hpp"

namespace handgrad {

template <class T>
NAdam<T>::NAdam(std::vector<ParameterGroup<T, NAdamOptions>> groups)
    : GroupOptimizer<T, NAdamOptions>(std::move(groups)), products_(this->groups()) {
  for (std::size_t g = 0; g < this->groups(); ++g) {
    const NAdamOptions& o = this->options(g);
    detail::require_rates("NAdam", {{"lr", o.lr, INFINITY},
                                    {"betas[0]", o.betas[0], 1},
                                    {"betas[1]", o.betas[1], 1},
                                    {"eps", o.eps, INFINITY},
                                    {"weight_decay", o.weight_decay, INFINITY},
                                    {"momentum_decay", o.momentum_decay, INFINITY}});
  }
}

// µₜ = β₁·(1 − ½·0.96^(t·ψ))
static double momentum_at(const NAdamOptions& o, std::int64_t step) {
  return o.betas[0] * (1 - 0.5 * detail::elementary_pow(0.96, static_cast<double>(step) * o.momentum_decay));
}

template <class T>
double NAdam<T>::momentum_product(std::size_t group, std::int64_t step) const {
  Product& product = products_[group];
  const NAdamOptions& o = this->options(group);
  if (product.step > step || product.beta1 != o.betas[0]) product = {0, 1, o.betas[0]};
  while (product.step < step) product.value *= momentum_at(o, ++product.step);
  return product.value;
}

template <class T>
formulas::UpdateRule NAdam<T>::rule(std::size_t group, std::int64_t step) const {
  const NAdamOptions& o = this->options(group);
  const double product = momentum_product(group, step), next = momentum_at(o, step + 1);
  return formulas::NAdam{o.lr,
                         o.betas[0],
                         o.betas[1],
                         o.eps,
                         o.weight_decay,
                         o.decoupled_weight_decay,
                         o.lr * (1 - momentum_at(o, step)) / (1 - product),
                         o.lr * next / (1 - product * next),
                         1 - detail::elementary_pow(o.betas[1], static_cast<double>(step))};
}

template <class T>
std::vector<std::string> NAdam<T>::state_names(std::size_t) const {
  return {"exp_avg", "exp_avg_sq"};
}

template <class T>
trace::Derivation NAdam<T>::derivation(std::size_t i) const {
  const NAdamOptions& o = this->options(this->group_of(i));
  const std::int64_t step = this->steps_of(i) + 1;
  const auto state = [&](std::size_t k) {
    const Tensor<T>& x = this->state_of(i, k);
    return x.defined() ? trace::array(x) : trace::constant(0);
  };
  using trace::Why;
  trace::Derivation d{.known = {{"η", trace::constant(o.lr)},
                                {"β₁", trace::constant(o.betas[0])},
                                {"β₂", trace::constant(o.betas[1])},
                                {"ε", trace::constant(o.eps)},
                                {"t", trace::constant(static_cast<double>(step))},
                                {"µ", trace::constant(momentum_at(o, step))},
                                {"ν", trace::constant(momentum_at(o, step + 1))},
                                {"Π", trace::constant(momentum_product(this->group_of(i), step))},
                                {"m", state(0)},
                                {"v", state(1)}}};
  if (o.weight_decay != 0) {
    d.forward.emplace_back(o.decoupled_weight_decay ? "w = w − η·λ·w" : "g = g + λ·w",
                           Why{"Weight decay: each weight is drawn to 0, the more the larger it is."});
    d.known.emplace_back("λ", trace::constant(o.weight_decay));
  }
  d.forward.emplace_back("m = β₁·m + (1 − β₁)·g", Why{"The mean of the gradients, of late: the direction."});
  d.forward.emplace_back("v = β₂·v + (1 − β₂)·g²",
                         Why{"The mean of the squared gradients, of late: how large they are."});
  d.forward.emplace_back("u = (1 − µ)·g/(1 − Π) + ν·m/(1 − ν·Π)",
                         Why{"What the mean will be one step on: the gradient counts once more."});
  d.forward.emplace_back(
      "w = w − η·u/(sqrt(v/(1 − β₂^t)) + ε)",
      Why{"A step against that mean, in units of the gradients' usual size: about η long for every weight."});
  return d;
}

template class NAdam<float>;
template class NAdam<double>;

}  // namespace handgrad
