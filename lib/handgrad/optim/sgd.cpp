#include "handgrad/optim/sgd.hpp"

#include "handgrad/errors.hpp"
#include "handgrad/format.hpp"
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
void SGD<T>::step() {
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

template class SGD<float>;
template class SGD<double>;

}  // namespace handgrad
