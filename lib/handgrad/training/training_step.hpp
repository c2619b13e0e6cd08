#pragma once
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "handgrad/contract/layer.hpp"
#include "handgrad/contract/loss.hpp"
#include "handgrad/optim/optimizer.hpp"

namespace handgrad {

namespace kernels {
class StepGraph;
}

/// One step of training: L = loss(net(x), y), the chain rule back, the optimizer's update.
///
///     TrainingStep step(net, loss, adam);
///     for (const auto& [x, y] : loader) step(x, y);
///
/// On a GPU the step is recorded as a CUDA graph, one for each shape of batch (the last, smaller one too), and replayed
/// from then on: one launch instead of dozens. It computes the same numbers as the five calls it stands for: whatever
/// changes from step to step (rates, Adam's count, dropout's masks) is followed, and what cannot be recorded (a layer
/// that brings a value to the host) is run as it is; `reason()` then says why. So is one that a GradientListener hears. On the CPU it is just the five calls.
///
/// Batches may lie on the CPU: they are brought to the network's device.
template <class T>
class TrainingStep {
 public:
  /// All three must outlive the step. `before_update` is called between backward and update, for clipping. On the CPU,
  /// `accepts` sees the loss before the backward: where it says no, the step ends there, with everything as the forward
  /// left it.
  TrainingStep(Layer<T>& net, Loss<T>& loss, Optimizer<T>& optimizer, std::function<void()> before_update = {},
               std::function<bool(const Tensor<T>&)> accepts = {});
  ~TrainingStep();
  TrainingStep(TrainingStep&&) noexcept;

  /// The loss before the update. `.item()` waits for the device: to be called now and then only.
  const Tensor<T>& operator()(const Tensor<T>& x, const Tensor<T>& y);

  /// Was the last step recorded, or replayed? If not, `reason()` says why.
  bool captured() const;
  std::string reason() const;

 private:
  /// A recorded step reads its batch where it was when it was recorded.
  struct Recorded {
    Device device;
    Tensor<T> x, y;
    std::unique_ptr<kernels::StepGraph> graph;
  };
  Recorded& recorded(const Shape& x, const Shape& y, Device device);
  const Tensor<T>& run(const Tensor<T>& x, const Tensor<T>& y);

  Layer<T>* net_;
  Loss<T>* loss_;
  Optimizer<T>* optimizer_;
  std::function<void()> before_update_;
  std::function<bool(const Tensor<T>&)> accepts_;
  std::vector<Parameter<T>> parameters_;
  std::vector<std::unique_ptr<Recorded>> recorded_;  // the one used last at the end
};

}  // namespace handgrad
