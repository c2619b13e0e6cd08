#include "handgrad/training/training_step.hpp"

#include <algorithm>

#include "handgrad/base/backend.hpp"
#include "handgrad/contract/gradient_hook.hpp"

namespace handgrad {

template <class T>
const Tensor<T>& TrainingStep<T>::run(const Tensor<T>& x, const Tensor<T>& t) {
  const Tensor<T>& value = loss_->forward(net_->forward(x), t);
  if (accepts_ && value.device().is_cpu() && !accepts_(value)) return value;
  optimizer_->zero_grad();
  net_->backward(loss_->backward());
  if (before_update_) before_update_();
  optimizer_->step();
  return value;
}

template <class T>
const Tensor<T>& TrainingStep<T>::operator()(const Tensor<T>& x, const Tensor<T>& t) {
  const Device device = parameters_.front().value().device();
  if (device.is_cpu()) return run(x, t);
  if (GradientUses<T>::heard()) return run(x.to(device), t.to(device));  // a replayed graph notifies no listener
  Recorded& step = recorded(x.shape(), t.shape(), device);
  step.x.copy_from(x);
  step.t.copy_from(t);
  try {
    step.graph->begin();
    const Tensor<T>& value = run(step.x, step.t);
    step.graph->end();
    return value;
  } catch (...) {
    step.graph->abandon();
    throw;
  }
}

template <class T>
typename TrainingStep<T>::Recorded& TrainingStep<T>::recorded(const Shape& x, const Shape& t, Device device) {
  constexpr std::size_t most = 8;  // shapes of batches; each graph holds device memory
  const auto found = std::find_if(recorded_.begin(), recorded_.end(), [&](const auto& step) {
    return step->device == device && step->x.shape() == x && step->t.shape() == t;
  });
  if (found != recorded_.end()) {
    std::rotate(found, found + 1, recorded_.end());
  } else {
    if (recorded_.size() == most) recorded_.erase(recorded_.begin());
    recorded_.push_back(std::make_unique<Recorded>(
        Recorded{device, Tensor<T>::empty(x, device), Tensor<T>::empty(t, device), make_step_graph(device)}));
  }
  return *recorded_.back();
}

template <class T>
bool TrainingStep<T>::captured() const {
  return !recorded_.empty() && recorded_.back()->graph->captured();
}

template <class T>
std::string TrainingStep<T>::reason() const {
  if (recorded_.empty()) return "nothing is recorded on the CPU";
  return captured() ? "" : recorded_.back()->graph->reason();
}

template <class T>
TrainingStep<T>::TrainingStep(Layer<T>& net, Loss<T>& loss, Optimizer<T>& optimizer,
                              std::function<void()> before_update, std::function<bool(const Tensor<T>&)> accepts)
    : net_(&net),
      loss_(&loss),
      optimizer_(&optimizer),
      before_update_(std::move(before_update)),
      accepts_(std::move(accepts)),
      parameters_(net.parameters()) {
  if (parameters_.empty()) throw ValueError("TrainingStep: a network without parameters: nothing to train");
}

template <class T>
TrainingStep<T>::~TrainingStep() = default;
template <class T>
TrainingStep<T>::TrainingStep(TrainingStep&&) noexcept = default;

template class TrainingStep<float>;
template class TrainingStep<double>;

}  // namespace handgrad
