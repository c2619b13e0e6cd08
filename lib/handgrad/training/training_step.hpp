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

/// One training step: L = loss(net(x), t), the backward, the optimizer's update.
///
///     TrainingStep step(net, loss, adam);
///     for (const auto& [x, t] : loader) step(x, t);
///
/// On a GPU the step is recorded as a CUDA graph, one for each batch shape (the last batch may be smaller), and
/// replayed from then on: one launch instead of dozens, with the same numbers. What changes from step to step (rates,
/// Adam's count, dropout's masks) is followed. A step that cannot be recorded (a layer that brings a value to the host,
/// a GradientListener) runs normally, and `reason()` says why. On the CPU every step runs normally.
///
/// Batches on the CPU are copied to the network's device.
template <class T>
class TrainingStep {
 public:
  /// All three must outlive the step. `before_update` is called between backward and update, for clipping. On the CPU,
  /// `accepts` sees the loss before the backward; if it returns false, the step ends there, with everything as the
  /// forward left it.
  TrainingStep(Layer<T>& net, Loss<T>& loss, Optimizer<T>& optimizer, std::function<void()> before_update = {},
               std::function<bool(const Tensor<T>&)> accepts = {});
  ~TrainingStep();
  TrainingStep(TrainingStep&&) noexcept;

  /// The loss before the update. Its `.item()` waits for the device: call it only now and then.
  const Tensor<T>& operator()(const Tensor<T>& x, const Tensor<T>& t);

  /// Whether the last step was recorded or replayed; if not, `reason()` says why.
  bool captured() const;
  std::string reason() const;

 private:
  /// A recorded step reads its batch from the place where it was recorded.
  struct Recorded {
    Device device;
    Tensor<T> x, t;
    std::unique_ptr<kernels::StepGraph> graph;
  };
  Recorded& recorded(const Shape& x, const Shape& t, Device device);
  const Tensor<T>& run(const Tensor<T>& x, const Tensor<T>& t);

  Layer<T>* net_;
  Loss<T>* loss_;
  Optimizer<T>* optimizer_;
  std::function<void()> before_update_;
  std::function<bool(const Tensor<T>&)> accepts_;
  std::vector<Parameter<T>> parameters_;
  std::vector<std::unique_ptr<Recorded>> recorded_;  // most recently used last
};

}  // namespace handgrad
