#include "handgrad/optim/schedulers.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numbers>

#include "handgrad/base/elementary.hpp"
#include "handgrad/base/errors.hpp"
#include "handgrad/base/format.hpp"

namespace handgrad {

namespace {

double taken(const std::vector<std::pair<std::string, double>>& state, const std::string& name) {
  for (const auto& [key, value] : state)
    if (key == name) return value;
  throw ValueError("scheduler: the state to be loaded lacks " + name);
}

void require(bool fine, const std::string& what) {
  if (!fine) throw ValueError(what);
}

std::vector<double> initial_rates(LearningRates& rates) {
  std::vector<double> initial;
  for (std::size_t i = 0; i < rates.groups(); ++i) initial.push_back(rates.initial_lr(i));
  return initial;
}

}  // namespace

EpochScheduler::EpochScheduler(LearningRates& rates) : rates_(rates), initial_(initial_rates(rates)) {}

EpochScheduler::EpochScheduler(LearningRates& rates, std::vector<double> initial)
    : rates_(rates), initial_(std::move(initial)) {
  require(initial_.size() == rates.groups(), "schedule: " + std::to_string(rates.groups()) +
                                                 " rates expected, one for each group; " +
                                                 std::to_string(initial_.size()) + " came");
}

void EpochScheduler::advance() {
  for (std::size_t i = 0; i < initial_.size(); ++i) rates_.set_lr(next(rates_.lr(i), initial_[i], epoch_), i);
}

void EpochScheduler::step(std::optional<double>) {
  ++epoch_;
  advance();
}

void EpochScheduler::restart() {
  epoch_ = 0;
  for (std::size_t i = 0; i < initial_.size(); ++i) rates_.set_lr(rate(initial_[i], 0), i);
}

double EpochScheduler::next(double lr, double initial, std::int64_t epoch) const {
  const double before = epoch == 0 ? initial : rate(initial, epoch - 1), now = rate(initial, epoch);
  return before == 0 ? now : lr * (now / before);
}

std::vector<std::pair<std::string, double>> EpochScheduler::state_dict() const {
  std::vector<std::pair<std::string, double>> state{{"epoch", static_cast<double>(epoch_)}};
  for (std::size_t i = 0; i < initial_.size(); ++i) state.emplace_back("initial_lr." + std::to_string(i), initial_[i]);
  return state;
}

void EpochScheduler::load_state_dict(const std::vector<std::pair<std::string, double>>& state) {
  const std::int64_t epoch = whole_number("scheduler: epoch", taken(state, "epoch"));
  std::vector<double> initial;
  for (std::size_t i = 0; i < initial_.size(); ++i) initial.push_back(taken(state, "initial_lr." + std::to_string(i)));
  initial_ = std::move(initial);
  epoch_ = epoch;
}

StepLR::StepLR(LearningRates& optimizer, std::int64_t step_size, double gamma)
    : EpochScheduler(optimizer), step_size_(step_size), gamma_(gamma) {
  require(step_size > 0, "StepLR: step_size = " + std::to_string(step_size) + ", above 0 expected");
  start();
}
double StepLR::rate(double initial, std::int64_t epoch) const {
  return initial * detail::elementary_pow(gamma_, static_cast<double>(epoch / step_size_));
}

double StepLR::next(double lr, double, std::int64_t epoch) const {
  return epoch == 0 || epoch % step_size_ != 0 ? lr : lr * gamma_;
}

ExponentialLR::ExponentialLR(LearningRates& optimizer, double gamma) : EpochScheduler(optimizer), gamma_(gamma) {
  start();
}
double ExponentialLR::rate(double initial, std::int64_t epoch) const {
  return initial * detail::elementary_pow(gamma_, static_cast<double>(epoch));
}

double ExponentialLR::next(double lr, double, std::int64_t epoch) const { return epoch == 0 ? lr : lr * gamma_; }

CosineAnnealingLR::CosineAnnealingLR(LearningRates& optimizer, std::int64_t T_max, double eta_min)
    : EpochScheduler(optimizer), T_max_(T_max), eta_min_(eta_min) {
  require(T_max > 0, "CosineAnnealingLR: T_max = " + std::to_string(T_max) + ", above 0 expected");
  start();
}
double CosineAnnealingLR::rate(double initial, std::int64_t epoch) const {
  const double angle = std::numbers::pi * static_cast<double>(epoch) / static_cast<double>(T_max_);
  return eta_min_ + (initial - eta_min_) * (1 + detail::elementary_cos(angle)) / 2;
}
// The part above η_min scales as 1 + cos; where that was 0, it starts afresh.
double CosineAnnealingLR::next(double lr, double initial, std::int64_t epoch) const {
  if (epoch == 0) return lr;
  const double step = std::numbers::pi / static_cast<double>(T_max_);
  if ((epoch - 1 - T_max_) % (2 * T_max_) == 0)
    return lr + (initial - eta_min_) * (1 - detail::elementary_cos(step)) / 2;
  const double now = 1 + detail::elementary_cos(step * static_cast<double>(epoch)),
               before = 1 + detail::elementary_cos(step * static_cast<double>(epoch - 1));
  return now / before * (lr - eta_min_) + eta_min_;
}

CosineAnnealingWarmRestarts::CosineAnnealingWarmRestarts(LearningRates& optimizer,
                                                         CosineAnnealingWarmRestartsOptions options)
    : EpochScheduler(optimizer), options_(options) {
  require(options.T_0 >= 1, "CosineAnnealingWarmRestarts: T_0 = " + std::to_string(options.T_0) + ", ≥ 1 expected");
  require(options.T_mult >= 1,
          "CosineAnnealingWarmRestarts: T_mult = " + std::to_string(options.T_mult) + ", ≥ 1 expected");
  start();
}
double CosineAnnealingWarmRestarts::rate(double initial, std::int64_t epoch) const {
  std::int64_t done = epoch, period = options_.T_0;
  if (options_.T_mult == 1) done %= period;
  for (; done >= period; period *= options_.T_mult) done -= period;
  const double angle = std::numbers::pi * static_cast<double>(done) / static_cast<double>(period);
  return options_.eta_min + (initial - options_.eta_min) * (1 + detail::elementary_cos(angle)) / 2;
}

OneCycleLR::OneCycleLR(LearningRates& optimizer, std::vector<double> max_lr, OneCycleLROptions options)
    : EpochScheduler(optimizer, std::move(max_lr)), optimizer_(optimizer), options_(options) {
  require(options.total_steps > 0,
          "OneCycleLR: total_steps = " + std::to_string(options.total_steps) + ", above 0 expected");
  require(options.pct_start >= 0 && options.pct_start <= 1,
          "OneCycleLR: pct_start = " + format_number(options.pct_start) + ", a number in [0, 1] expected");
  require(options.div_factor > 0 && options.final_div_factor > 0,
          "OneCycleLR: div_factor and final_div_factor above 0 expected");
  start();
  cycle_momentum();
}

// The last step of each phase: for the last phase total_steps − 1, when the last rate is set.
double OneCycleLR::at(std::int64_t step, double start, double top, double end) const {
  const auto total = static_cast<double>(options_.total_steps), s = static_cast<double>(step);
  const double up = options_.pct_start * total - 1, last = total - 1;
  const auto between = [&](double from, double to, double begin, double until) {
    const double part = until == begin ? 1 : (s - begin) / (until - begin);
    if (options_.anneal_strategy == OneCycleLROptions::Anneal::Linear) return (to - from) * part + from;
    return to + (from - to) / 2 * (1 + detail::elementary_cos(std::numbers::pi * part));
  };
  if (s <= up) return between(start, top, 0, up);
  if (!options_.three_phase) return between(top, end, up, last);
  const double down = 2 * options_.pct_start * total - 2;
  return s <= down ? between(top, start, up, down) : between(start, end, down, last);
}

double OneCycleLR::rate(double max_lr, std::int64_t step) const {
  const double start = max_lr / options_.div_factor;
  return at(step, start, max_lr, start / options_.final_div_factor);
}

void OneCycleLR::cycle_momentum() {
  if (!options_.cycle_momentum) return;
  const double most = options_.max_momentum;
  for (std::size_t i = 0; i < optimizer_.groups(); ++i)
    optimizer_.set_momentum(at(last_epoch(), most, options_.base_momentum, most), i);
}

void OneCycleLR::step(std::optional<double> metric) {
  require(last_epoch() < options_.total_steps,
          "OneCycleLR: the schedule ends after total_steps = " + std::to_string(options_.total_steps) + " steps");
  EpochScheduler::step(metric);
  cycle_momentum();
}

void OneCycleLR::restart() {
  EpochScheduler::restart();
  cycle_momentum();
}

void OneCycleLR::load_state_dict(const std::vector<std::pair<std::string, double>>& state) {
  EpochScheduler::load_state_dict(state);
  cycle_momentum();
}

LinearLR::LinearLR(LearningRates& optimizer, LinearLROptions options) : EpochScheduler(optimizer), options_(options) {
  require(options.start_factor > 0 && options.start_factor <= 1,
          "LinearLR: start_factor = " + format_number(options.start_factor) + ", a number in (0, 1] expected");
  require(options.end_factor >= 0 && options.end_factor <= 1,
          "LinearLR: end_factor = " + format_number(options.end_factor) + ", a number in [0, 1] expected");
  require(options.total_iters > 0,
          "LinearLR: total_iters = " + std::to_string(options.total_iters) + ", above 0 expected");
  start();
}
double LinearLR::rate(double initial, std::int64_t epoch) const {
  const double part =
      static_cast<double>(std::min(epoch, options_.total_iters)) / static_cast<double>(options_.total_iters);
  return initial * (options_.start_factor + (options_.end_factor - options_.start_factor) * part);
}
// rate(e)/rate(e − 1) = 1 + d/(total_iters·start_factor + (e − 1)·d),  d = end_factor − start_factor
double LinearLR::next(double lr, double, std::int64_t epoch) const {
  if (epoch == 0) return lr * options_.start_factor;
  if (epoch > options_.total_iters) return lr;
  const double d = options_.end_factor - options_.start_factor;
  return lr * (1 + d / (static_cast<double>(options_.total_iters) * options_.start_factor +
                        static_cast<double>(epoch - 1) * d));
}

SequentialLR::SequentialLR(std::vector<std::shared_ptr<Scheduler>> schedules, std::vector<std::int64_t> milestones)
    : schedules_(std::move(schedules)), milestones_(std::move(milestones)) {
  require(schedules_.size() == milestones_.size() + 1,
          "SequentialLR: " + std::to_string(milestones_.size() + 1) + " schedules expected for " +
              std::to_string(milestones_.size()) + " milestones, " + std::to_string(schedules_.size()) + " came");
  for (std::size_t i = 0; i < milestones_.size(); ++i)
    require(milestones_[i] > (i == 0 ? 0 : milestones_[i - 1]), "SequentialLR: ascending milestones above 0 expected");
  for (const auto& schedule : schedules_) require(schedule != nullptr, "SequentialLR: a null schedule");
  // Each schedule set the rates to its e = 0 when it was made.
  schedules_[0]->restart();
}

void SequentialLR::step(std::optional<double> metric) {
  ++epoch_;
  const auto next = std::upper_bound(milestones_.begin(), milestones_.end(), epoch_);
  Scheduler& schedule = *schedules_[static_cast<std::size_t>(next - milestones_.begin())];
  if (next != milestones_.begin() && *(next - 1) == epoch_)
    schedule.restart();
  else
    schedule.step(metric);
}

void SequentialLR::restart() {
  epoch_ = 0;
  schedules_[0]->restart();
}

std::vector<std::pair<std::string, double>> SequentialLR::state_dict() const {
  std::vector<std::pair<std::string, double>> state{{"epoch", static_cast<double>(epoch_)}};
  for (std::size_t i = 0; i < schedules_.size(); ++i)
    for (const auto& [name, value] : schedules_[i]->state_dict())
      state.emplace_back(std::to_string(i) + "." + name, value);
  return state;
}

void SequentialLR::load_state_dict(const std::vector<std::pair<std::string, double>>& state) {
  const std::int64_t epoch = whole_number("scheduler: epoch", taken(state, "epoch"));
  // handgrad 0.1 stored only the epoch and one list of initial rates; each schedule's own epoch follows from them.
  const bool of_0_1 = std::none_of(state.begin(), state.end(), [](const auto& entry) { return entry.first[0] == '0'; });
  for (std::size_t i = 0; i < schedules_.size(); ++i) {
    const std::string prefix = of_0_1 ? "" : std::to_string(i) + ".";
    std::vector<std::pair<std::string, double>> own;
    for (const auto& [name, value] : state)
      if (name.starts_with(prefix)) own.emplace_back(name.substr(prefix.size()), value);
    const std::int64_t begin = i == 0 ? 0 : milestones_[i - 1];
    if (of_0_1)
      for (auto& [name, value] : own)
        if (name == "epoch") value = static_cast<double>(std::max<std::int64_t>(epoch - begin, 0));
    schedules_[i]->load_state_dict(own);
  }
  epoch_ = epoch;
}

ReduceLROnPlateau::ReduceLROnPlateau(LearningRates& optimizer, ReduceLROnPlateauOptions options)
    : rates_(optimizer), initial_(initial_rates(optimizer)), options_(options), best_(worst()) {
  require(options.factor > 0 && options.factor < 1,
          "ReduceLROnPlateau: factor = " + format_number(options.factor) + ", a number in (0, 1) expected");
}

double ReduceLROnPlateau::worst() const {
  constexpr double infinity = std::numeric_limits<double>::infinity();
  return options_.maximize ? -infinity : infinity;
}

void ReduceLROnPlateau::restart() {
  best_ = worst();
  bad_epochs_ = cooldown_ = 0;
  for (std::size_t i = 0; i < initial_.size(); ++i) rates_.set_lr(initial_[i], i);
}

bool ReduceLROnPlateau::better(double metric) const {
  const double t = options_.threshold;
  if (options_.maximize) return metric > (options_.relative ? best_ * (1 + t) : best_ + t);
  return metric < (options_.relative ? best_ * (1 - t) : best_ - t);
}

void ReduceLROnPlateau::step(std::optional<double> metric) {
  require(metric.has_value(), "ReduceLROnPlateau: step(metric) expected, no metric came");
  if (better(*metric)) {
    best_ = *metric;
    bad_epochs_ = 0;
  } else {
    ++bad_epochs_;
  }
  if (cooldown_ > 0) {
    --cooldown_;
    bad_epochs_ = 0;
  }
  if (bad_epochs_ <= options_.patience) return;
  for (std::size_t i = 0; i < rates_.groups(); ++i) {
    const double lr = rates_.lr(i), reduced = std::max(lr * options_.factor, options_.min_lr);
    if (lr - reduced > options_.eps) rates_.set_lr(reduced, i);
  }
  cooldown_ = options_.cooldown;
  bad_epochs_ = 0;
}

std::vector<std::pair<std::string, double>> ReduceLROnPlateau::state_dict() const {
  return {{"best", best_}, {"bad_epochs", bad_epochs_}, {"cooldown", cooldown_}};
}

void ReduceLROnPlateau::load_state_dict(const std::vector<std::pair<std::string, double>>& state) {
  const auto count = [&](const char* name) {
    return static_cast<int>(
        whole_number(std::string("scheduler: ") + name, taken(state, name), std::numeric_limits<int>::max()));
  };
  const double best = taken(state, "best");
  const int bad_epochs = count("bad_epochs"), cooldown = count("cooldown");
  best_ = best;
  bad_epochs_ = bad_epochs;
  cooldown_ = cooldown;
}

}  // namespace handgrad
