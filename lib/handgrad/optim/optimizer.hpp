#pragma once
#include <array>
#include <cstddef>
#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "handgrad/contract/layer.hpp"
#include "handgrad/contract/parameter.hpp"

namespace handgrad {

namespace kernels {
template <class T>
struct Update;
}
namespace formulas {
struct UpdateRule;
}
namespace trace {
struct Derivation;
}

/// Parameters that share options: `Adam<float> adam({{weights, {.weight_decay = 0.1}}, {biases, {}}})` has two groups.
template <class T, class Options>
struct ParameterGroup {
  std::vector<Parameter<T>> parameters;
  Options options = {};
};

/// The usual two groups: weights (rank 2 and more) with the given options; biases and the scales and shifts of norms
/// (rank 0 and 1) with weight_decay 0, since decaying these would not regularise.
/// regularises nothing.
///
///     AdamW adamw(no_decay_on_biases_and_norms(net, AdamWOptions{.lr = 1e-3}));
template <class T, class Options>
std::vector<ParameterGroup<T, Options>> no_decay_on_biases_and_norms(const Layer<T>& net, Options options) {
  std::vector<ParameterGroup<T, Options>> groups;
  for (const bool decayed : {true, false}) {
    ParameterGroup<T, Options> group{{}, options};
    if (!decayed) group.options.weight_decay = 0;
    for (const Parameter<T>& parameter : net.parameters())
      if ((parameter.shape().rank() >= 2) == decayed) group.parameters.push_back(parameter);
    if (!group.parameters.empty()) groups.push_back(std::move(group));
  }
  return groups;
}

/// The learning rates of an optimizer's parameter groups, as schedules change them.
class LearningRates {
 public:
  virtual ~LearningRates() = default;
  /// How many groups of parameters have a learning rate of their own, and the rates.
  virtual std::size_t groups() const = 0;
  virtual double lr(std::size_t group = 0) const = 0;
  virtual void set_lr(double lr, std::size_t group) = 0;
  /// Sets the same rate for all groups.
  void set_lr(double lr) {
    for (std::size_t i = 0; i < groups(); ++i) set_lr(lr, i);
  }
  /// What OneCycleLR cycles opposite to the rate: momentum or β₁. Throws ValueError if there is none.
  virtual double momentum(std::size_t group = 0) const;
  virtual void set_momentum(double momentum, std::size_t group);
  /// η₀: a group's rate when first asked for, that is when its first schedule is made. Later schedules of the same
  /// optimizer get the same η₀, even if the rate has changed since (PyTorch's initial_lr).
  double initial_lr(std::size_t group) {
    while (initial_.size() < groups()) initial_.push_back(lr(initial_.size()));
    return initial_.at(group);
  }

 private:
  std::vector<double> initial_;
};

/// What an optimizer needs to resume exactly: numbers (`lr` of each group as `groups.0.lr`, steps as `3.step`) and
/// tensors (`3.exp_avg`) by parameter, numbered across all groups.
template <class T>
struct OptimizerState {
  std::vector<std::pair<std::string, double>> numbers;
  std::vector<NamedTensor<T>> tensors;
};

/// The base of all optimizers. A step reads the gradients and changes the values in place, all parameters in one call
/// of the device, and allocates nothing after the first. A parameter without a gradient since `zero_grad()` is skipped,
/// as in PyTorch.
///
/// As in Layer, the public step is here and records the trace; a derived optimizer supplies its `rule`.
template <class T>
class Optimizer : public LearningRates {
 public:
  ~Optimizer() override;
  Optimizer(Optimizer&&) noexcept;
  Optimizer& operator=(Optimizer&&) noexcept;

  /// One step of every parameter, along its gradient.
  void step();
  /// Sets all gradients to 0.
  void zero_grad() {
    for (Parameter<T>& parameter : parameters_) parameter.zero_grad();
  }
  /// All parameters, in group order.
  const std::vector<Parameter<T>>& parameters() const { return parameters_; }

  /// What a run needs to go on: running means and counts of steps.
  OptimizerState<T> state_dict() const;
  /// Resumes from the state of an optimizer of the same kind over parameters of the same shapes. Throws ValueError for
  /// a missing or unknown name or an impossible number, ShapeError for another shape; then nothing is changed.
  void load_state_dict(const OptimizerState<T>& state);

  /// The class's name, `SGD`; derived from the type unless overridden.
  virtual std::string name() const;
  /// The assignments of parameter i's next update, for a recording (trace/derivation.hpp): in `forward`, for a
  /// parameter w with gradient g, with rates and state (η, v) as `known`. Empty unless overridden.
  virtual trace::Derivation derivation(std::size_t i) const;

 protected:
  Optimizer();
  /// Throws ValueError for a parameter that is already in a group.
  void add_group(const std::vector<Parameter<T>>& parameters);
  void require_parameters() const;

  /// A group's rule for a parameter's step number `step` (from 1), and the names of its states.
  virtual formulas::UpdateRule rule(std::size_t group, std::int64_t step) const = 0;
  virtual std::vector<std::string> state_names(std::size_t group) const = 0;
  /// The initial value of a group's states.
  virtual T initial_state(std::size_t group) const { return (void)group, T(0); }
  /// The gradient the rule uses for parameter i, of its shape; `update` calls it once per step.
  virtual const Tensor<T>& direction(std::size_t i) { return parameters_[i].grad(); }

  /// For parameter i: its group, its number of steps, and its k-th state (undefined before the first step).
  std::size_t group_of(std::size_t i) const { return slots_[i].group; }
  std::int64_t steps_of(std::size_t i) const { return slots_[i].step; }
  const Tensor<T>& state_of(std::size_t i, std::size_t k) const { return slots_[i].state[k]; }
  /// The k-th state for writing, created if missing.
  Tensor<T>& make_state(std::size_t i, std::size_t k);

 private:
  struct Slot {
    std::size_t group;
    std::array<Tensor<T>, 3> state;
    std::int64_t step = 0;
  };
  void update();

  std::vector<Parameter<T>> parameters_;
  std::vector<Slot> slots_;                  // one per parameter
  std::size_t added_ = 0;                    // groups
  std::vector<kernels::Update<T>> updates_;  // kept so that a step allocates nothing
};

/// An optimizer with options for each group; these must have an `lr`.
template <class T, class Options>
class GroupOptimizer : public Optimizer<T> {
 public:
  /// Parameters with options of their own.
  using Group = ParameterGroup<T, Options>;
  using LearningRates::set_lr;

  std::size_t groups() const override { return options_.size(); }
  double lr(std::size_t group = 0) const override { return options(group).lr; }
  void set_lr(double lr, std::size_t group) override { options_[checked(group)].lr = lr; }
  double momentum(std::size_t group = 0) const override {
    if constexpr (requires(Options o) { o.betas; })
      return options(group).betas[0];
    else if constexpr (requires(Options o) { o.momentum; })
      return options(group).momentum;
    else
      return LearningRates::momentum(group);
  }
  void set_momentum(double momentum, std::size_t group) override {
    if constexpr (requires(Options o) { o.betas; })
      options_[checked(group)].betas[0] = momentum;
    else if constexpr (requires(Options o) { o.momentum; })
      options_[checked(group)].momentum = momentum;
    else
      LearningRates::set_momentum(momentum, group);
  }
  /// Throws ValueError for a group that does not exist, as `lr` and `set_lr` do.
  const Options& options(std::size_t group = 0) const { return options_[checked(group)]; }

 protected:
  explicit GroupOptimizer(std::vector<Group> groups) {
    for (Group& group : groups) {
      this->add_group(group.parameters);
      options_.push_back(group.options);
    }
    this->require_parameters();
  }

 private:
  std::size_t checked(std::size_t group) const {
    if (group >= options_.size())
      throw ValueError(this->name() + ": group " + std::to_string(group) + " of " + std::to_string(options_.size()));
    return group;
  }
  std::vector<Options> options_;
};

namespace detail {
/// Throws ValueError unless each number is in [0, below).
struct NamedRate {
  const char* name;
  double value, below;
};
void require_rates(const char* optimizer, std::initializer_list<NamedRate> rates);
}  // namespace detail

}  // namespace handgrad
