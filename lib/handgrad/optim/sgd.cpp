#include "handgrad/optim/sgd.hpp"

#include "handgrad/errors.hpp"
#include "handgrad/format.hpp"
#include "handgrad/trace/derivation.hpp"
#include "kernels/backend.hpp"

namespace handgrad {

template <class T>
SGD<T>::SGD(std::vector<Parameter<T>> parameters, SGDOptions options)
    : Optimizer<T>(std::move(parameters)), options_(options), velocity_(this->parameters_.size()) {
  for (auto [name, value] :
       {std::pair{"lr", options.lr}, {"momentum", options.momentum}, {"weight_decay", options.weight_decay}})
    if (!(value >= 0)) throw ValueError(std::string("SGD: ") + name + " = " + format_number(value) + ", ≥ 0 expected");
  if (options.nesterov && options.momentum == 0) throw ValueError("SGD: nesterov needs a momentum > 0");
}

template <class T>
SGD<T>::~SGD() = default;

template <class T>
void SGD<T>::update() {
  const formulas::SGD rule{options_.lr, options_.momentum, options_.weight_decay, options_.nesterov};
  updates_.clear();
  for (std::size_t i = 0; i < this->parameters_.size(); ++i) {
    Parameter<T>& w = this->parameters_[i];
    if (!w.has_grad()) continue;
    const bool first = !velocity_[i].defined();
    if (options_.momentum != 0 && first) velocity_[i] = Tensor<T>::empty(w.shape(), w.value().device());
    updates_.push_back({&w.value(), &w.grad(), options_.momentum != 0 ? &velocity_[i] : nullptr, first});
  }
  if (!updates_.empty()) kernels::backend<T>(updates_[0].value->device()).sgd(rule, updates_);
}

template <class T>
trace::Derivation SGD<T>::derivation(std::size_t i) const {
  const bool momentum = options_.momentum != 0, first = !velocity_[i].defined();
  trace::Derivation d{.known = {{"η", trace::constant(options_.lr)}}};
  if (options_.weight_decay != 0) {
    d.forward.emplace_back("g = g + λ·w");
    d.known.emplace_back("λ", trace::constant(options_.weight_decay));
  }
  if (!momentum) {
    d.forward.emplace_back("w = w − η·g");
    return d;
  }
  d.known.emplace_back("µ", trace::constant(options_.momentum));
  if (!first) d.known.emplace_back("v", trace::array(velocity_[i]));
  d.forward.emplace_back(first ? "v = g" : "v = µ·v + g");
  d.forward.emplace_back(options_.nesterov ? "w = w − η·(g + µ·v)" : "w = w − η·v");
  return d;
}

template class SGD<float>;
template class SGD<double>;

}  // namespace handgrad
