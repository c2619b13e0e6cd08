#pragma once
#include <cstdint>
#include <functional>
#include <limits>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace handgrad {

/// Where a parameter may lie: numbers in [low, high], whole ones or not, on a linear or a logarithmic scale, or one of
/// some choices.
struct Distribution {
  enum class Kind { Float, Int, Categorical };
  Kind kind = Kind::Float;
  double low = 0, high = 0;
  bool log = false;
  std::vector<std::string> choices = {};
  bool operator==(const Distribution&) const = default;
};

/// One set of parameters and what came of it. Of a categorical parameter the value is the number of the choice.
struct TrialRecord {
  enum class State { Running, Complete, Pruned, Failed };
  int number = 0;
  State state = State::Running;
  double value = std::numeric_limits<double>::quiet_NaN();
  std::vector<std::pair<std::string, double>> parameters = {};
  std::map<std::string, Distribution> distributions = {};
  std::map<int, double> reported = {};  ///< by step
  double seconds = 0;

  /// The parameter's value, or null.
  const double* find(const std::string& name) const;
  /// As text: the choice, or the number.
  std::string text(const std::string& name) const;
};

/// Chooses the next value of a parameter. `random()` gives numbers in [0, 1) that follow from the study's seed, the
/// trial and the parameter alone, so that a study that was interrupted goes on as if it had not been.
class Sampler {
 public:
  using Random = std::function<double()>;
  virtual ~Sampler() = default;
  virtual double sample(const std::string& name, const Distribution& distribution,
                        const std::vector<TrialRecord>& trials, bool maximize, const Random& random) const = 0;
};

/// Uniform over the range, on its scale.
class RandomSampler : public Sampler {
 public:
  double sample(const std::string& name, const Distribution& distribution, const std::vector<TrialRecord>& trials,
                bool maximize, const Random& random) const override;
};

struct TPESamplerOptions {
  int n_startup_trials = 10;  ///< random ones at first
  int n_ei_candidates = 24;
  double prior_weight = 1;
};

/// Tree-structured Parzen estimator (Bergstra, Bardenet, Bengio and Kégl 2011), one parameter at a time, with Optuna's
/// defaults. The n trials done are split: the best ⌈0.1·n⌉ (25 at most) and the others. A mixture of normal densities,
/// one for each trial of a part and a wide one for the prior, gives the density ℓ(x) of the good and g(x) of the rest.
/// 24 candidates are drawn from ℓ; the one with the largest ℓ(x)/g(x) is taken: with γ the share of the good, expected
/// improvement is proportional to (γ + (1−γ)·g(x)/ℓ(x))⁻¹ (their section 4).
/// A trial's standard deviation is its larger distance to a neighbour, held to [range/min(100, n+2), range]. Of more
/// than 25 trials the oldest weigh less. Pruned trials count as worse than completed ones, by the step they reached.
class TPESampler : public Sampler {
 public:
  explicit TPESampler(TPESamplerOptions options = {}) : options_(options) {}
  double sample(const std::string& name, const Distribution& distribution, const std::vector<TrialRecord>& trials,
                bool maximize, const Random& random) const override;

 private:
  TPESamplerOptions options_;
};

/// Ends a trial whose best value so far is worse than the median of what the completed trials had reported at the same
/// step.
struct MedianPruner {
  int n_startup_trials = 5;  ///< so many are completed first
  int n_warmup_steps = 0;    ///< none is ended at a step below
  bool should_prune(const TrialRecord& trial, const std::vector<TrialRecord>& trials, bool maximize) const;
};

/// Throw it out of an objective to end the trial: `if (trial.should_prune()) throw TrialPruned();`
struct TrialPruned {};

class Study;

/// A trial that runs: what the objective is given. Asked twice for the same name, it gives the same value.
class Trial {
 public:
  /// In [low, high], with `log` uniform on a logarithmic scale. Throws ValueError for an empty or infinite range, for
  /// low ≤ 0 with log, and for a name that this trial has with another range.
  double suggest_float(const std::string& name, double low, double high, bool log = false);
  int suggest_int(const std::string& name, int low, int high, bool log = false);
  std::string suggest_categorical(const std::string& name, const std::vector<std::string>& choices);

  /// What is known after so many steps (epochs), for the pruner. Of a step reported twice the first value stays.
  /// Throws ValueError for a step below 0.
  void report(double value, int step);
  bool should_prune() const;
  int number() const { return record_.number; }

 private:
  friend Study;
  Trial(Study& study, TrialRecord& record) : study_(study), record_(record) {}
  double suggest(const std::string& name, const Distribution& distribution);
  Study& study_;
  TrialRecord& record_;
};

struct StudyOptions {
  bool maximize = false;
  std::shared_ptr<Sampler> sampler = std::make_shared<TPESampler>();
  std::optional<MedianPruner> pruner = {};
  std::uint64_t seed = 0;
  /// The trials are kept here (JSON), written anew after each; what is there at the beginning is gone on from. Study
  /// throws IoError for a place that cannot be written to, ParseError for a file that is no study.
  std::string file = "";
};

/// A search for the parameters with the best value, trial by trial:
///
///     Study study({.maximize = true, .seed = 1, .file = "study.json"});
///     study.optimize([&](Trial& trial) {
///       const double lr = trial.suggest_float("lr", 1e-5, 1e-1, true);
///       return auroc_with(lr, trial.suggest_int("neurons", 16, 256));
///     }, 30);
class Study {
 public:
  /// Throws IoError and ParseError for a file that is none of ours, and ValueError for one of a study in the other
  /// direction or of another seed.
  explicit Study(StudyOptions options = {});

  /// Until there are `trials` finished ones in all, those of the file included. Ctrl-C ends it after the trial that
  /// runs, which is dropped (if the objective itself returns). An objective that returns NaN has failed: the trial is
  /// kept, and not learnt from. What it throws ends the study, with the trials before it in the file.
  void optimize(const std::function<double(Trial&)>& objective, int trials);

  const std::vector<TrialRecord>& trials() const { return trials_; }
  /// The completed trial with the best value, the first of equals. Throws StateError when there is none.
  const TrialRecord& best_trial() const;
  /// The best value up to each trial: what a history plot shows. NaN before the first completed one.
  std::vector<double> best_values() const;
  const StudyOptions& options() const { return options_; }

 private:
  friend Trial;
  bool better(double a, double b) const { return options_.maximize ? a > b : a < b; }
  void load();
  void save() const;
  StudyOptions options_;
  std::vector<TrialRecord> trials_;
};

}  // namespace handgrad
