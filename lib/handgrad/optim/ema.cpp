#include "handgrad/optim/ema.hpp"

#include <algorithm>

#include "handgrad/base/backend.hpp"
#include "handgrad/base/errors.hpp"
#include "handgrad/base/format.hpp"
#include "handgrad/base/views.hpp"

namespace handgrad {

template <class T>
ExponentialMovingAverage<T>::ExponentialMovingAverage(std::vector<Parameter<T>> parameters, double decay)
    : parameters_(std::move(parameters)), decay_(static_cast<T>(decay)) {
  if (!(decay >= 0 && decay <= 1))
    throw ValueError("ExponentialMovingAverage: decay = " + format_number(decay) + ", a number in [0, 1] expected");
  if (parameters_.empty()) throw ValueError("ExponentialMovingAverage: no parameters named");
}

// a ← d·a + (1−d)·w
template <class T>
void ExponentialMovingAverage<T>::update() {
  if (swapped_) throw StateError("ExponentialMovingAverage: update() while the network has the averages: swap() first");
  for (std::size_t i = 0; i < parameters_.size(); ++i) {
    const Tensor<T>& w = parameters_[i].value();
    if (updates_ == 0) {
      if (values_.size() <= i) values_.push_back(w.clone());
      values_[i].copy_from(w);
      continue;
    }
    if (values_[i].device() != w.device()) values_[i] = values_[i].to(w.device());
    auto& elements = backend<T>(w.device()).elements;
    elements.scale(view::vector(values_[i]), decay_);
    elements.add(view::vector(values_[i]), T(1) - decay_, view::vector(w));
  }
  ++updates_;
}

template <class T>
void ExponentialMovingAverage<T>::swap() {
  if (updates_ == 0)
    throw StateError("ExponentialMovingAverage: swap() before the first update(): there is no average");
  spare_.resize(parameters_.size());
  for (std::size_t i = 0; i < parameters_.size(); ++i) {  // the values are swapped, not the tensors, which others share
    Tensor<T>& w = parameters_[i].value();
    spare_[i].reserve(w.shape(), w.device());
    spare_[i].copy_from(w);
    w.copy_from(values_[i]);
    values_[i].copy_from(spare_[i]);
  }
  swapped_ = !swapped_;
}

template <class T>
std::vector<std::pair<std::string, double>> ExponentialMovingAverage<T>::numbers() const {
  return {{"updates", static_cast<double>(updates_)}, {"swapped", swapped_ ? 1.0 : 0.0}};
}

template <class T>
std::vector<NamedTensor<T>> ExponentialMovingAverage<T>::state_dict() const {
  std::vector<NamedTensor<T>> state;
  for (std::size_t i = 0; i < values_.size(); ++i) state.emplace_back(std::to_string(i), values_[i].clone());
  return state;
}

template <class T>
void ExponentialMovingAverage<T>::load_state_dict(const std::vector<std::pair<std::string, double>>& numbers,
                                                  const std::vector<NamedTensor<T>>& state) {
  const auto taken = [](const auto& list, const std::string& name) -> const auto& {
    const auto entry = std::find_if(list.begin(), list.end(), [&](const auto& e) { return e.first == name; });
    if (entry == list.end()) throw ValueError("moving average: the state to be loaded lacks " + name);
    return entry->second;
  };
  const std::int64_t updates = whole_number("moving average: updates", taken(numbers, "updates"));
  const bool swapped = whole_number("moving average: swapped", taken(numbers, "swapped"), 1) == 1;
  std::vector<Tensor<T>> values;
  for (std::size_t i = 0; updates > 0 && i < parameters_.size(); ++i) {
    const Tensor<T>& w = parameters_[i].value();
    const Tensor<T>& value = taken(state, std::to_string(i));
    if (!(value.shape() == w.shape()))
      throw ShapeError("moving average: " + std::to_string(i) + " has shape " + value.shape().str() +
                       " in the state to be loaded, its parameter has shape " + w.shape().str());
    values.push_back(Tensor<T>::empty(w.shape(), w.device()).copy_from(value));
  }
  if (state.size() != values.size())
    throw ValueError("moving average: the state to be loaded is of other parameters: it has " +
                     std::to_string(state.size()) + " tensors, " + std::to_string(values.size()) + " expected");
  values_ = std::move(values);
  updates_ = updates;
  swapped_ = swapped;
}

template class ExponentialMovingAverage<float>;
template class ExponentialMovingAverage<double>;

}  // namespace handgrad
