#pragma once
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "handgrad/optim/optimizer.hpp"

namespace handgrad {

/// Changes the learning rates of an optimizer's groups after each epoch (or batch: e below counts the calls of
/// `step()`). The optimizer must outlive its schedules; η₀ of each group is its rate when the first of them was made.
///
/// Several schedules may share an optimizer: a step multiplies the current rate, as in PyTorch, so that a warm-up does
/// not undo a reduction by ReduceLROnPlateau. The rates belong to the optimizer and are restored with its state_dict.
class Scheduler {
 public:
  virtual ~Scheduler() = default;
  /// Goes to the next epoch. ReduceLROnPlateau needs the metric that it watches; the others ignore it.
  virtual void step(std::optional<double> metric = std::nullopt) = 0;
  /// Restarts at e = 0 with the rates for it, whatever they are now. SequentialLR calls this when the schedule's turn
  /// comes.
  virtual void restart() = 0;
  /// The numbers that a resumed run needs, by name. Throws ValueError for a missing name or an impossible epoch.
  virtual std::vector<std::pair<std::string, double>> state_dict() const = 0;
  virtual void load_state_dict(const std::vector<std::pair<std::string, double>>& state) = 0;
};

/// A schedule by epoch: η = rate(η₀, e), with e = 0 at first and one more after each step, unless the rates are changed
/// elsewhere too.
class EpochScheduler : public Scheduler {
 public:
  void step(std::optional<double> metric = std::nullopt) override;
  void restart() override;
  std::vector<std::pair<std::string, double>> state_dict() const override;
  void load_state_dict(const std::vector<std::pair<std::string, double>>& state) override;
  std::int64_t last_epoch() const { return epoch_; }

 protected:
  explicit EpochScheduler(LearningRates& rates);
  /// With a separate η₀ for each group.
  EpochScheduler(LearningRates& rates, std::vector<double> initial);
  /// Sets the rates for e = 0; a constructor calls it once its fields are set.
  void start() { advance(); }
  virtual double rate(double initial, std::int64_t epoch) const = 0;
  /// The rate at e, given `lr`, the rate at e − 1 (at e = 0: the rate before there was a schedule): lr·rate(η₀,
  /// e)/rate(η₀, e − 1) unless overridden.
  virtual double next(double lr, double initial, std::int64_t epoch) const;

 private:
  void advance();
  LearningRates& rates_;
  std::vector<double> initial_;
  std::int64_t epoch_ = 0;
};

/// η = η₀·γ^⌊e/step_size⌋, as torch.optim.lr_scheduler.StepLR.
class StepLR : public EpochScheduler {
 public:
  StepLR(LearningRates& optimizer, std::int64_t step_size, double gamma = 0.1);

 protected:
  double rate(double initial, std::int64_t epoch) const override;
  double next(double lr, double initial, std::int64_t epoch) const override;

 private:
  std::int64_t step_size_;
  double gamma_;
};

/// η = η₀·γᵉ
class ExponentialLR : public EpochScheduler {
 public:
  ExponentialLR(LearningRates& optimizer, double gamma);

 protected:
  double rate(double initial, std::int64_t epoch) const override;
  double next(double lr, double initial, std::int64_t epoch) const override;

 private:
  double gamma_;
};

/// η = η_min + ½(η₀ − η_min)(1 + cos(π·e/T_max)): half a cosine down to η_min at e = T_max (Loshchilov and Hutter 2017,
/// without restarts), and then up again, as in PyTorch.
class CosineAnnealingLR : public EpochScheduler {
 public:
  CosineAnnealingLR(LearningRates& optimizer, std::int64_t T_max, double eta_min = 0);

 protected:
  double rate(double initial, std::int64_t epoch) const override;
  double next(double lr, double initial, std::int64_t epoch) const override;

 private:
  std::int64_t T_max_;
  double eta_min_;
};

struct CosineAnnealingWarmRestartsOptions {
  std::int64_t T_0 = 10;    ///< epochs until the first restart
  std::int64_t T_mult = 1;  ///< by which each period is longer than the one before
  double eta_min = 0;
};

/// η = η_min + ½(η₀ − η_min)(1 + cos(π·c/T)), as torch.optim.lr_scheduler.CosineAnnealingWarmRestarts (Loshchilov and
/// Hutter 2017): half a cosine down over T epochs, where c counts the epochs since the last restart; then back to η₀
/// and over T_mult·T epochs. It sets the rates, ignoring other changes.
class CosineAnnealingWarmRestarts : public EpochScheduler {
 public:
  /// Throws ValueError unless T_0 ≥ 1 and T_mult ≥ 1.
  CosineAnnealingWarmRestarts(LearningRates& optimizer, CosineAnnealingWarmRestartsOptions options);

 protected:
  double rate(double initial, std::int64_t epoch) const override;
  double next(double, double initial, std::int64_t epoch) const override { return rate(initial, epoch); }

 private:
  CosineAnnealingWarmRestartsOptions options_;
};

struct OneCycleLROptions {
  std::int64_t total_steps = 0;  ///< of the whole training: epochs times batches
  double pct_start = 0.3;        ///< the part of them in which the rate grows
  enum class Anneal { Cosine, Linear } anneal_strategy = Anneal::Cosine;
  bool cycle_momentum = true;
  double base_momentum = 0.85, max_momentum = 0.95;
  double div_factor = 25;         ///< η begins at max_lr/div_factor
  double final_div_factor = 1e4;  ///< and ends at that over final_div_factor
  bool three_phase = false;       ///< down to where it began as long as it went up, then on to the end
};

/// One rise to max_lr and one fall to almost 0 over the whole training, as torch.optim.lr_scheduler.OneCycleLR (Smith
/// and Topin 2018); momentum (or β₁) runs the other way, from max_momentum down to base_momentum and back. Step it
/// after each batch. It sets rates and momenta, ignoring other changes.
///
///     OneCycleLR schedule(sgd, 0.1, {.total_steps = epochs * batches});
///
/// Throws ValueError for total_steps ≤ 0, for pct_start outside [0, 1], for an optimizer without momentum (unless
/// cycle_momentum is off), and for a step beyond total_steps.
class OneCycleLR : public EpochScheduler {
 public:
  OneCycleLR(LearningRates& optimizer, double max_lr, OneCycleLROptions options)
      : OneCycleLR(optimizer, std::vector<double>(optimizer.groups(), max_lr), options) {}
  /// With a max_lr for each group.
  OneCycleLR(LearningRates& optimizer, std::vector<double> max_lr, OneCycleLROptions options);
  void step(std::optional<double> metric = std::nullopt) override;
  void restart() override;
  void load_state_dict(const std::vector<std::pair<std::string, double>>& state) override;

 protected:
  double rate(double max_lr, std::int64_t step) const override;
  double next(double, double max_lr, std::int64_t step) const override { return rate(max_lr, step); }

 private:
  /// The value at `step`, between those at the start, the top and the end.
  double at(std::int64_t step, double start, double top, double end) const;
  void cycle_momentum();
  LearningRates& optimizer_;
  OneCycleLROptions options_;
};

struct LinearLROptions {
  double start_factor = 1.0 / 3;
  double end_factor = 1;
  std::int64_t total_iters = 5;
};

/// Linear warm-up: η = η₀·(start_factor + (end_factor − start_factor)·min(e, total_iters)/total_iters), as
/// torch.optim.lr_scheduler.LinearLR.
class LinearLR : public EpochScheduler {
 public:
  explicit LinearLR(LearningRates& optimizer, LinearLROptions options = {});

 protected:
  double rate(double initial, std::int64_t epoch) const override;
  double next(double lr, double initial, std::int64_t epoch) const override;

 private:
  LinearLROptions options_;
};

/// One schedule until epoch milestones[0], the next (from its own e = 0) until milestones[1], and so on: a warm-up,
/// then a cosine. Make all schedules before stepping any, so that they share the same η₀. The metric goes to the
/// current schedule; the last may be a ReduceLROnPlateau, which begins at η₀ and watches from the epoch after its
/// milestone.
///
///     SequentialLR schedule({std::make_shared<LinearLR>(adam, LinearLROptions{}),
///                            std::make_shared<CosineAnnealingLR>(adam, 95)}, {5});
class SequentialLR : public Scheduler {
 public:
  /// Throws ValueError unless there is one more schedule than milestones and the milestones ascend from above 0.
  SequentialLR(std::vector<std::shared_ptr<Scheduler>> schedules, std::vector<std::int64_t> milestones);
  void step(std::optional<double> metric = std::nullopt) override;
  void restart() override;
  std::vector<std::pair<std::string, double>> state_dict() const override;
  void load_state_dict(const std::vector<std::pair<std::string, double>>& state) override;

 private:
  std::vector<std::shared_ptr<Scheduler>> schedules_;
  std::vector<std::int64_t> milestones_;
  std::int64_t epoch_ = 0;
};

struct ReduceLROnPlateauOptions {
  bool maximize = false;    ///< PyTorch's mode "max"
  double factor = 0.1;      ///<
  int patience = 10;        ///< epochs without improvement that are let pass
  double threshold = 1e-4;  ///< what counts as improvement: by this part of the best, or by this much
  bool relative = true;     ///< PyTorch's threshold_mode "rel"
  int cooldown = 0;         ///< epochs after a reduction in which bad ones are not counted
  double min_lr = 0;
  double eps = 1e-8;  ///< reductions by less are not made
};

/// η ← max(η·factor, min_lr) after more than `patience` epochs without improvement of the metric, as
/// torch.optim.lr_scheduler.ReduceLROnPlateau. `step` throws ValueError without a metric; NaN is no improvement.
class ReduceLROnPlateau : public Scheduler {
 public:
  explicit ReduceLROnPlateau(LearningRates& optimizer, ReduceLROnPlateauOptions options = {});
  void step(std::optional<double> metric = std::nullopt) override;
  void restart() override;
  std::vector<std::pair<std::string, double>> state_dict() const override;
  void load_state_dict(const std::vector<std::pair<std::string, double>>& state) override;

 private:
  bool better(double metric) const;
  double worst() const;
  LearningRates& rates_;
  std::vector<double> initial_;
  ReduceLROnPlateauOptions options_;
  double best_;
  int bad_epochs_ = 0, cooldown_ = 0;
};

}  // namespace handgrad
