#include "handgrad/training/early_stopping.hpp"

#include <algorithm>
#include <limits>

#include "handgrad/base/format.hpp"

namespace handgrad {

template <class T>
bool EarlyStopping<T>::step(double metric, const Layer<T>& net) {
  ++epoch_;
  const bool better = options_.maximize ? metric > best_ + options_.min_delta : metric < best_ - options_.min_delta;
  if (better || (best_epoch_ == 0 && metric == metric)) {
    best_ = metric;
    best_epoch_ = epoch_;
    best_state_ = net.state_dict();  // copies
  }
  return epoch_ >= options_.grace_period && epoch_ - best_epoch_ >= std::max(options_.patience, 1);
}

template <class T>
void EarlyStopping<T>::restore(Layer<T>& net) const {
  if (options_.restore_best && !best_state_.empty()) net.load_state_dict(best_state_);
}

template <class T>
std::vector<std::pair<std::string, double>> EarlyStopping<T>::state_dict() const {
  return {{"epoch", epoch_}, {"best_epoch", best_epoch_}, {"best", best_}};
}

template <class T>
void EarlyStopping<T>::load_state_dict(const std::vector<std::pair<std::string, double>>& state,
                                       std::vector<NamedTensor<T>> best_state) {
  const auto taken = [&](const std::string& name) {
    for (const auto& [key, value] : state)
      if (key == name) return value;
    throw ValueError("EarlyStopping: the state to be loaded lacks " + name);
  };
  const auto count = [&](const std::string& name) {
    return static_cast<int>(whole_number("EarlyStopping: " + name, taken(name), std::numeric_limits<int>::max()));
  };
  const int epoch = count("epoch"), best_epoch = count("best_epoch");
  best_ = taken("best");
  epoch_ = epoch;
  best_epoch_ = best_epoch;
  best_state_ = std::move(best_state);
}

template class EarlyStopping<float>;
template class EarlyStopping<double>;

}  // namespace handgrad
