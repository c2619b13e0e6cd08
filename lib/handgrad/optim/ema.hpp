#pragma once
#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "handgrad/contract/parameter.hpp"

namespace handgrad {

/// An exponential moving average of weights, as torch.optim.swa_utils.AveragedModel with get_ema_multi_avg_fn(d):
///     a ← w  at first,   a ← d·a + (1−d)·w  from then on
/// Weights that SGD has reached jump about a minimum at the size of its steps; their mean lies nearer to it. To be
/// updated after each step, and looked at in evaluation:
///
///     ExponentialMovingAverage average(net.parameters(), 0.99);
///     for (…) { …; sgd.step(); average.update(); }
///     average.swap();   // the network has the averages now
///     evaluate(net, loss, data);
///     average.swap();   // and its own weights again
///
/// Buffers (running_mean) stay the network's own. save_checkpoint and load_checkpoint take it along.
template <class T = float>
class ExponentialMovingAverage {
 public:
  /// Throws ValueError for a decay outside [0, 1], or without parameters.
  explicit ExponentialMovingAverage(std::vector<Parameter<T>> parameters, double decay = 0.999);

  /// Throws StateError while the network has the averages.
  void update();
  /// Exchanges the network's weights with the averages. Throws StateError before the first update.
  void swap();
  bool is_swapped() const { return swapped_; }
  /// How often `update` was called.
  std::int64_t updates() const { return updates_; }
  /// The averages, parameter by parameter; nothing before the first update.
  const std::vector<Tensor<T>>& values() const { return values_; }

  /// What a resumed run needs; of the averages, whoever has them at the moment. Throws ValueError for a name that is
  /// missing or a number that cannot be, ShapeError for another shape; nothing is changed then.
  std::vector<std::pair<std::string, double>> numbers() const;
  std::vector<NamedTensor<T>> state_dict() const;
  void load_state_dict(const std::vector<std::pair<std::string, double>>& numbers,
                       const std::vector<NamedTensor<T>>& state);

 private:
  std::vector<Parameter<T>> parameters_;
  std::vector<Tensor<T>> values_, spare_;
  T decay_;
  std::int64_t updates_ = 0;
  bool swapped_ = false;
};

}  // namespace handgrad
