#pragma once
#include <cstdint>
#include <limits>
#include <string>
#include <utility>
#include <vector>

#include "handgrad/contract/layer.hpp"

namespace handgrad {

struct EarlyStoppingOptions {
  int patience = 10;         ///< stops after so many epochs in a row without improvement; 0: after the first, as 1
  int grace_period = 0;      ///< but not before so many epochs in all
  double min_delta = 0;      ///< what counts as improvement: by more than this
  bool maximize = false;     ///< the metric is to grow; otherwise it is a loss
  bool restore_best = true;  ///< `restore` gives back the best weights
};

/// Ends a training that no longer improves, and keeps a copy of the best weights.
///
///     EarlyStopping<float> stopping({.patience = 5});
///     while (!stopping.step(validation_loss, net)) …
///     stopping.restore(net);
template <class T>
class EarlyStopping {
 public:
  explicit EarlyStopping(EarlyStoppingOptions options = {}) : options_(options) {}

  /// Call it after each epoch; returns whether to stop. Copies the weights and buffers of `net` if `metric` is the best
  /// so far. NaN is no improvement.
  bool step(double metric, const Layer<T>& net);
  /// Restores the best weights and buffers into the network; does nothing before the first epoch.
  void restore(Layer<T>& net) const;

  const EarlyStoppingOptions& options() const { return options_; }
  /// The number of the best epoch, from 1; 0 if there is none yet.
  int best_epoch() const { return best_epoch_; }
  double best() const { return best_; }
  bool improved() const { return epoch_ > 0 && best_epoch_ == epoch_; }
  /// The best weights and buffers; empty if there are none yet.
  const std::vector<NamedTensor<T>>& best_state() const { return best_state_; }

  /// What a resumed run needs beside best_state(). Throws ValueError for a missing name.
  std::vector<std::pair<std::string, double>> state_dict() const;
  void load_state_dict(const std::vector<std::pair<std::string, double>>& state,
                       std::vector<NamedTensor<T>> best_state);

 private:
  EarlyStoppingOptions options_;
  int epoch_ = 0, best_epoch_ = 0;
  double best_ = std::numeric_limits<double>::quiet_NaN();
  std::vector<NamedTensor<T>> best_state_;
};

}  // namespace handgrad
