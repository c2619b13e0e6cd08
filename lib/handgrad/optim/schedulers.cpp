#include "handgrad/optim/schedulers.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numbers>

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

}  // namespace

EpochScheduler::EpochScheduler(LearningRates& rates) : rates_(rates) {
  for (std::size_t i = 0; i < rates.groups(); ++i) initial_.push_back(rates.lr(i));
}

void EpochScheduler::set(std::int64_t epoch) {
  epoch_ = epoch;
  for (std::size_t i = 0; i < initial_.size(); ++i) rates_.set_lr(rate(initial_[i], epoch), i);
}

void EpochScheduler::step(std::optional<double>) { set(epoch_ + 1); }

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
  set(epoch);
}

StepLR::StepLR(LearningRates& optimizer, std::int64_t step_size, double gamma)
    : EpochScheduler(optimizer), step_size_(step_size), gamma_(gamma) {
  require(step_size > 0, "StepLR: step_size = " + std::to_string(step_size) + ", above 0 expected");
  start();
}
double StepLR::rate(double initial, std::int64_t epoch) const {
  return initial * std::pow(gamma_, static_cast<double>(epoch / step_size_));
}

ExponentialLR::ExponentialLR(LearningRates& optimizer, double gamma) : EpochScheduler(optimizer), gamma_(gamma) {
  start();
}
double ExponentialLR::rate(double initial, std::int64_t epoch) const {
  return initial * std::pow(gamma_, static_cast<double>(epoch));
}

CosineAnnealingLR::CosineAnnealingLR(LearningRates& optimizer, std::int64_t T_max, double eta_min)
    : EpochScheduler(optimizer), T_max_(T_max), eta_min_(eta_min) {
  require(T_max > 0, "CosineAnnealingLR: T_max = " + std::to_string(T_max) + ", above 0 expected");
  start();
}
double CosineAnnealingLR::rate(double initial, std::int64_t epoch) const {
  const double angle = std::numbers::pi * static_cast<double>(epoch) / static_cast<double>(T_max_);
  return eta_min_ + (initial - eta_min_) * (1 + std::cos(angle)) / 2;
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

SequentialLR::SequentialLR(std::vector<std::shared_ptr<EpochScheduler>> schedules, std::vector<std::int64_t> milestones)
    : schedules_(std::move(schedules)), milestones_(std::move(milestones)) {
  require(schedules_.size() == milestones_.size() + 1,
          "SequentialLR: " + std::to_string(milestones_.size() + 1) + " schedules expected for " +
              std::to_string(milestones_.size()) + " milestones, " + std::to_string(schedules_.size()) + " came");
  for (std::size_t i = 0; i < milestones_.size(); ++i)
    require(milestones_[i] > (i == 0 ? 0 : milestones_[i - 1]), "SequentialLR: ascending milestones above 0 expected");
  for (const auto& schedule : schedules_) require(schedule != nullptr, "SequentialLR: a null schedule");
  // The first has set its rates already when it was made, and the others theirs after it: each starts from the rates
  // before all of them.
  for (auto& schedule : schedules_) schedule->initial_ = schedules_[0]->initial_;
  set(0);
}

void SequentialLR::set(std::int64_t epoch) {
  epoch_ = epoch;
  const auto next = std::upper_bound(milestones_.begin(), milestones_.end(), epoch);
  const auto i = static_cast<std::size_t>(next - milestones_.begin());
  schedules_[i]->set(i == 0 ? epoch : epoch - milestones_[i - 1]);
}

void SequentialLR::step(std::optional<double>) { set(epoch_ + 1); }

std::vector<std::pair<std::string, double>> SequentialLR::state_dict() const {
  std::vector<std::pair<std::string, double>> state = schedules_[0]->state_dict();
  state[0].second = static_cast<double>(epoch_);
  return state;
}

void SequentialLR::load_state_dict(const std::vector<std::pair<std::string, double>>& state) {
  for (auto& schedule : schedules_) schedule->load_state_dict(state);
  set(whole_number("scheduler: epoch", taken(state, "epoch")));
}

ReduceLROnPlateau::ReduceLROnPlateau(LearningRates& optimizer, ReduceLROnPlateauOptions options)
    : rates_(optimizer),
      options_(options),
      best_(options.maximize ? -std::numeric_limits<double>::infinity() : std::numeric_limits<double>::infinity()) {
  require(options.factor > 0 && options.factor < 1,
          "ReduceLROnPlateau: factor = " + format_number(options.factor) + ", a number in (0, 1) expected");
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
