#pragma once
#include <functional>
#include <limits>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "handgrad/contract/layer.hpp"
#include "handgrad/contract/loss.hpp"
#include "handgrad/data/loader.hpp"
#include "handgrad/optim/optimizer.hpp"
#include "handgrad/optim/schedulers.hpp"
#include "handgrad/training/early_stopping.hpp"

namespace handgrad {

template <class T>
class DataParallel;
class Communicator;

/// A number that says how good predictions are, of the network's outputs and the targets for a whole data set, both on
/// the CPU: {"auroc", [](const auto& z, const auto& y) { return roc_auc_score(y, z); }}.
template <class T>
struct Metric {
  std::string name;
  std::function<double(const Tensor<T>& prediction, const Tensor<T>& target)> value;
};

/// What one epoch gave.
struct EpochResult {
  int epoch = 0;    ///< from 1
  double loss = 0;  ///< mean over the training examples, each as it was met, with the weights of that moment
  std::optional<double> validation_loss = {};
  std::vector<double> metrics = {};  ///< in the order of FitOptions::metrics, of the validation data
  double lr = 0;                     ///< of the first group, in this epoch
  double seconds = 0;
};

struct History {
  /// NotFinite: a loss of the training was infinite or NaN; the epoch in which it was is not among `epochs`.
  enum class End { Finished, EarlyStopping, Callback, Interrupted, NotFinite };
  std::vector<EpochResult> epochs;
  int best_epoch = 0;  ///< by what was monitored; 0 without early stopping
  End end = End::Finished;
  std::string reason = "";  ///< for NotFinite: where it began
};

template <class T>
struct FitOptions {
  int epochs = 1;
  DataLoader<T>* validation = nullptr;
  std::vector<Metric<T>> metrics = {};
  /// What early stopping and ReduceLROnPlateau watch: "loss" (of the validation data, or of the training where there is
  /// none) or a metric's name.
  std::string monitor = "loss";
  std::optional<EarlyStoppingOptions> early_stopping = {};
  std::vector<Scheduler*> schedulers = {};                         ///< stepped after each epoch
  double max_grad_norm = std::numeric_limits<double>::infinity();  ///< of clip_grad_norm_, before each step
  /// The network's weights are written here (safetensors) whenever the epoch was the best so far, by the loss or, with
  /// early stopping, by what it watches.
  std::string best_weights = "";
  /// The whole state is written here after each epoch; where the file exists already, the run goes on from it. The
  /// history lies beside it, in `NAME.history`, a line for each epoch, so that a checkpoint costs the same after a
  /// thousand epochs as after one.
  std::string checkpoint = "";
  /// Called after each epoch; the training ends when one returns false.
  std::vector<std::function<bool(const EpochResult&)>> callbacks = {};
  /// Trains on several ranks, each with its own loaders (DistributedSampler): losses and metrics are those of all
  /// ranks' examples, what is decided is decided once for all, and rank 0 alone writes files and progress.
  DataParallel<T>* parallel = nullptr;
  /// A progress line on the terminal; nothing is written when standard error is none.
  bool progress = true;
};

/// Trains: for each epoch and batch  L(f(x), y) → backward → optimizer.step(), then validation, schedules, callbacks.
/// On a GPU the steps are recorded (training_step.hpp), and nothing waits for the device before the epoch's end.
/// Batches from the CPU are brought there; a loader with DataLoaderOptions::device does it while the GPU computes.
///
/// A loss that is infinite or NaN ends it: nothing that can be learnt comes after. On the CPU that is before the step
/// that it would have led to, and `History::reason` names the first tensor that went bad, its layer and step; on a GPU
/// it is seen after the epoch, and the step is named. `progress` writes it to standard error.
///
/// Ctrl-C ends it after the batch that runs. With early stopping, the weights at the end are the best ones, however it
/// ended (unless restore_best is off). The network is left in the mode in which it came.
///
///     History history = fit(net, loss, adam, train, {.epochs = 300, .validation = &valid,
///                                                    .early_stopping = EarlyStoppingOptions{.patience = 4}});
///
/// On several ranks, `parallel`, a checkpoint can be taken up again by another number of them. Rank 0's file counts,
/// which the others need not see; so do its running statistics, after each epoch. Ctrl-C on one ends all at the same
/// step. A loss that is not finite ends all after the epoch. Throws ValueError where ranks differ in epochs, batches or
/// the sampler's seed.
///
/// Throws ValueError for a loss with Reduction::None or a monitor that is no metric; ShapeError, before the first step,
/// for a last batch of fewer rows than a layer takes (BatchNorm1d: 2); and what layers, losses and files throw.
template <class T>
History fit(Layer<T>& net, Loss<T>& loss, Optimizer<T>& optimizer, DataLoader<T>& train,
            const FitOptions<T>& options = {});

/// The loss over a data set, as a mean over its examples, and the metrics, in evaluation mode; with `ranks`, of the
/// examples of all of them.
template <class T>
std::pair<double, std::vector<double>> evaluate(Layer<T>& net, Loss<T>& loss, DataLoader<T>& data,
                                                const std::vector<Metric<T>>& metrics = {},
                                                Communicator* ranks = nullptr);

}  // namespace handgrad
