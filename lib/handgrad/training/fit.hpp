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

/// A measure of the predictions' quality, from the network's outputs and the targets of a whole data set, both on the
/// CPU: {"auroc", [](const auto& z, const auto& t) { return roc_auc_score(t, z); }}.
template <class T>
struct Metric {
  std::string name;
  std::function<double(const Tensor<T>& prediction, const Tensor<T>& target)> value;
};

/// The results of one epoch.
struct EpochResult {
  int epoch = 0;    ///< from 1
  double loss = 0;  ///< mean over the training examples, each as it was met, with the weights of that moment
  std::optional<double> validation_loss = {};
  std::vector<double> metrics = {};  ///< in the order of FitOptions::metrics, of the validation data
  double lr = 0;                     ///< of the first group, in this epoch
  double seconds = 0;
};

/// What fit has measured, epoch by epoch.
struct History {
  /// NotFinite: a training loss was infinite or NaN; that epoch is not among `epochs`.
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
  /// What early stopping and ReduceLROnPlateau watch: "loss" (of the validation data if there is any, else of the
  /// training) or a metric's name.
  std::string monitor = "loss";
  std::optional<EarlyStoppingOptions> early_stopping = {};
  std::vector<Scheduler*> schedulers = {};                         ///< stepped after each epoch
  double max_grad_norm = std::numeric_limits<double>::infinity();  ///< of clip_grad_norm_, before each step
  /// Where to write the network's weights (safetensors) after each epoch that is the best so far, by the loss or, with
  /// early stopping, by what that watches.
  std::string best_weights = "";
  /// Where to write the whole state after each epoch; if the file already exists, the run resumes from it. The history
  /// is kept beside it in `NAME.history`, one line per epoch, so that a checkpoint does not grow with the number of
  /// epochs.
  std::string checkpoint = "";
  /// Called after each epoch; if one returns false, the training ends.
  std::vector<std::function<bool(const EpochResult&)>> callbacks = {};
  /// Trains on several ranks, each with its own loaders (DistributedSampler): losses and metrics are over all ranks'
  /// examples, decisions are made once for all, and only rank 0 writes files and progress.
  DataParallel<T>* parallel = nullptr;
  /// Shows a progress line if standard error is a terminal.
  bool progress = true;
};

/// Trains: for each epoch and batch  L(f(x), t) → backward → optimizer.step(), then validation, schedules, callbacks.
/// On a GPU the steps are recorded (training_step.hpp), and nothing waits for the device before the epoch's end.
/// Batches from the CPU are copied to it; with DataLoaderOptions::device the loader does so while the GPU computes.
///
/// An infinite or NaN loss ends the training, since nothing can be learnt after it. On the CPU it ends before that
/// step's update, and `History::reason` names the first tensor that was not finite, its layer and step; on a GPU it
/// ends after the epoch, naming the step. `progress` writes the reason to standard error.
///
/// Ctrl-C ends the training after the current batch. With early stopping, the final weights are the best ones, however
/// it ended (unless restore_best is off). The network's mode is restored.
///
///     History history = fit(net, loss, adam, train, {.epochs = 300, .validation = &valid,
///                                                    .early_stopping = EarlyStoppingOptions{.patience = 4}});
///
/// On several ranks (`parallel`), a checkpoint can be resumed by another number of ranks. Only rank 0 needs to see its
/// file; after each epoch its running statistics count for all. Ctrl-C on one ends all at the same step. A loss that is
/// not finite ends all after the epoch. Throws ValueError if ranks differ in epochs, batches or the sampler's seed.
///
/// Throws ValueError for a loss with Reduction::None or a monitor that is not a metric; ShapeError, before the first
/// step, for a last batch of fewer rows than a layer takes (BatchNorm1d: 2); and whatever layers, losses and files
/// throw.
template <class T>
History fit(Layer<T>& net, Loss<T>& loss, Optimizer<T>& optimizer, DataLoader<T>& train,
            const FitOptions<T>& options = {});

/// The mean loss over a data set's examples, and the metrics, in evaluation mode; with `ranks`, over the examples of
/// all ranks.
template <class T>
std::pair<double, std::vector<double>> evaluate(Layer<T>& net, Loss<T>& loss, DataLoader<T>& data,
                                                const std::vector<Metric<T>>& metrics = {},
                                                Communicator* ranks = nullptr);

}  // namespace handgrad
