#include "handgrad/optim/optimizer.hpp"

#include <algorithm>
#include <limits>
#include <typeinfo>

#include "handgrad/base/backend.hpp"
#include "handgrad/base/errors.hpp"
#include "handgrad/base/format.hpp"
#include "handgrad/base/type_name.hpp"
#include "handgrad/base/views.hpp"
#include "handgrad/trace/recorder.hpp"

namespace handgrad {

template <class T>
Optimizer<T>::Optimizer() = default;
template <class T>
Optimizer<T>::~Optimizer() = default;
template <class T>
Optimizer<T>::Optimizer(Optimizer&&) noexcept = default;
template <class T>
Optimizer<T>& Optimizer<T>::operator=(Optimizer&&) noexcept = default;

template <class T>
void Optimizer<T>::add_group(const std::vector<Parameter<T>>& parameters) {
  for (const Parameter<T>& parameter : parameters) {
    for (const Parameter<T>& other : parameters_)
      if (other.same_as(parameter))
        throw ValueError("optimizer: a parameter of shape " + parameter.shape().str() + " was given twice");
    parameters_.push_back(parameter);
    slots_.push_back({added_, {}});
  }
  ++added_;
}

template <class T>
void Optimizer<T>::require_parameters() const {
  if (parameters_.empty()) throw ValueError("an optimizer without parameters: nothing to train");
}

double LearningRates::momentum(std::size_t) const {
  throw ValueError("this optimizer has neither a momentum nor a β₁ (cycle_momentum = false leaves it alone)");
}
void LearningRates::set_momentum(double, std::size_t group) { momentum(group); }

template <class T>
Tensor<T>& Optimizer<T>::make_state(std::size_t i, std::size_t k) {
  const Device device = parameters_[i].value().device();
  Tensor<T>& state = slots_[i].state[k];
  if (!state.defined()) state = full<T>(parameters_[i].shape(), initial_state(slots_[i].group), device);
  if (state.device() != device) state = state.to(device);
  return state;
}

template <class T>
void Optimizer<T>::step() {
  trace::Recorder* recorder = trace::recorder();
  if (recorder) recorder->before_step(*this);
  update();
  if (recorder) recorder->step(*this);
}

namespace {

/// Whether the rule leaves a weight alone if its gradient is 0. SGD does, w − η·0 = w; a rule with memory or decay does
/// not.
bool keeps_without_gradient(const formulas::UpdateRule& rule) {
  const auto* sgd = std::get_if<formulas::SGD>(&rule);
  return sgd && sgd->momentum == 0 && sgd->weight_decay == 0;
}

}  // namespace

template <class T>
void Optimizer<T>::update() {
  for (std::size_t i = 0; i < parameters_.size(); ++i)
    if (const Parameter<T>& w = parameters_[i]; w.has_grad() && !w.fits())
      throw ShapeError(name() + ": parameter " + std::to_string(i) + " was replaced by a tensor of another shape, " +
                       w.shape().str());
  Device device;
  const auto carry_out = [&] {
    if (!updates_.empty()) backend<T>(device).optimizers.optimize(updates_);
    updates_.clear();
  };
  updates_.clear();
  for (std::size_t i = 0; i < parameters_.size(); ++i) {
    Parameter<T>& w = parameters_[i];
    if (!w.has_grad()) continue;
    if (w.value().device() != device) carry_out();  // at once for neighbours on one device
    device = w.value().device();
    Slot& slot = slots_[i];
    const formulas::UpdateRule update_rule = rule(slot.group, ++slot.step);
    if (const auto touched = keeps_without_gradient(update_rule) ? w.touched_rows() : std::nullopt) {
      const std::size_t columns = w.numel() / w.shape()[0];
      for (const std::uint32_t row : touched->second)
        updates_.push_back(
            {{w.value().data() + row * columns, columns}, touched->first + row * columns, {}, update_rule});
      continue;
    }
    kernels::Update<T> update{view::vector(w.value()), direction(i).data(), {}, update_rule};
    const auto states = static_cast<std::size_t>(std::visit([](const auto& r) { return r.states(); }, update.rule));
    for (std::size_t k = 0; k < states; ++k) update.state[k] = make_state(i, k).data();
    updates_.push_back(update);
  }
  carry_out();
}

template <class T>
std::string Optimizer<T>::name() const {
  return class_name(typeid(*this));
}

template <class T>
trace::Derivation Optimizer<T>::derivation(std::size_t) const {
  return {};
}

template <class T>
OptimizerState<T> Optimizer<T>::state_dict() const {
  OptimizerState<T> state;
  for (std::size_t g = 0; g < groups(); ++g) state.numbers.emplace_back("groups." + std::to_string(g) + ".lr", lr(g));
  for (std::size_t i = 0; i < slots_.size(); ++i) {
    const Slot& slot = slots_[i];
    const std::string place = std::to_string(i) + ".";
    state.numbers.emplace_back(place + "step", static_cast<double>(slot.step));
    const std::vector<std::string> names = state_names(slot.group);
    for (std::size_t k = 0; k < names.size(); ++k)
      if (slot.state[k].defined()) state.tensors.emplace_back(place + names[k], slot.state[k].clone());
  }
  return state;
}

namespace {

template <class V>
const V& taken(const std::vector<std::pair<std::string, V>>& list, const std::string& name) {
  const auto entry = std::find_if(list.begin(), list.end(), [&](const auto& e) { return e.first == name; });
  if (entry == list.end()) throw ValueError("optimizer: the state to be loaded lacks " + name);
  return entry->second;
}

}  // namespace

template <class T>
void Optimizer<T>::load_state_dict(const OptimizerState<T>& state) {
  std::vector<Slot> loaded = slots_;
  std::size_t numbers = groups() + loaded.size(), tensors = 0;
  for (std::size_t i = 0; i < loaded.size(); ++i) {
    Slot& slot = loaded[i];
    const std::string place = std::to_string(i) + ".";
    slot.step = whole_number("optimizer: " + place + "step", taken(state.numbers, place + "step"));
    slot.state = {};
    if (slot.step == 0) continue;
    const std::vector<std::string> names = state_names(slot.group);
    tensors += names.size();
    for (std::size_t k = 0; k < names.size(); ++k) {
      const Tensor<T>& tensor = taken(state.tensors, place + names[k]);
      if (!(tensor.shape() == parameters_[i].shape()))
        throw ShapeError("optimizer: " + place + names[k] + " has shape " + tensor.shape().str() +
                         " in the state to be loaded, its parameter has shape " + parameters_[i].shape().str());
      slot.state[k] = Tensor<T>::empty(tensor.shape(), parameters_[i].value().device()).copy_from(tensor);
    }
  }
  std::vector<double> rates;
  for (std::size_t g = 0; g < groups(); ++g) {
    rates.push_back(taken(state.numbers, "groups." + std::to_string(g) + ".lr"));
    detail::require_rates("optimizer", {{"lr", rates.back(), std::numeric_limits<double>::infinity()}});
  }
  if (state.numbers.size() != numbers || state.tensors.size() != tensors)
    throw ValueError("optimizer: the state to be loaded is of another optimizer: it has " +
                     std::to_string(state.numbers.size()) + " numbers and " + std::to_string(state.tensors.size()) +
                     " tensors, " + std::to_string(numbers) + " and " + std::to_string(tensors) + " expected");
  slots_ = std::move(loaded);
  for (std::size_t g = 0; g < groups(); ++g) set_lr(rates[g], g);
}

namespace detail {

void require_rates(const char* optimizer, std::initializer_list<NamedRate> rates) {
  for (const auto& [name, value, below] : rates)
    if (!(value >= 0 && value < below))
      throw ValueError(std::string(optimizer) + ": " + name + " = " + format_number(value) + ", a number in [0, " +
                       (below < 2 ? format_number(below) : "∞") + ") expected");
}

}  // namespace detail

template class Optimizer<float>;
template class Optimizer<double>;

}  // namespace handgrad
