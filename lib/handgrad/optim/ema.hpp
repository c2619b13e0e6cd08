#pragma once
#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "handgrad/contract/parameter.hpp"

namespace handgrad {

/// An exponential moving average of weights, as torch.optim.swa_utils.AveragedModel with get_ema_multi_avg_fn(d):
///     a ← w  at first,   a ← d·a + (1−d)·w  from then on
/// SGD's weights jump about a minimum by the size of its steps; their mean lies nearer to it. Update it after each
/// step, and swap it in for evaluation:
///
///     ExponentialMovingAverage average(net.parameters(), 0.99);
///     for (…) { …; sgd.step(); average.update(); }
///     average.swap();   // the network now has the averages
///     evaluate(net, loss, valid);
///     average.swap();   // and its own weights again
///
/// Buffers (running_mean) are not averaged. save_checkpoint and load_checkpoint include the averages.
template <class T = float>
class ExponentialMovingAverage {
 public:
  /// Throws ValueError for a decay outside [0, 1], or without parameters.
  explicit ExponentialMovingAverage(std::vector<Parameter<T>> parameters, double decay = 0.999);

  /// Throws StateError while the network has the averages.
  void update();
  /// Exchanges the network's weights and the averages. Throws StateError before the first update.
  void swap();
  bool is_swapped() const { return swapped_; }
  /// The number of calls of `update`.
  std::int64_t updates() const { return updates_; }
  /// The averages, parameter by parameter; empty before the first update.
  const std::vector<Tensor<T>>& values() const { return values_; }

  /// What a resumed run needs; the averages wherever they are at the moment. Throws ValueError for a missing name or an
  /// impossible number, ShapeError for another shape; then nothing is changed.
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
