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

/// The range of a parameter: numbers in [low, high], integer or not, on a linear or logarithmic scale, or one of
/// several choices.
struct Distribution {
  enum class Kind { Float, Int, Categorical };
  Kind kind = Kind::Float;
  double low = 0, high = 0;
  bool log = false;
  std::vector<std::string> choices = {};
  bool operator==(const Distribution&) const = default;
};

/// One set of parameters and its result. A categorical parameter's value is the index of the choice.
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

/// Chooses the next value of a parameter. `random()` gives numbers in [0, 1) that depend only on the study's seed, the
/// trial and the parameter, so that an interrupted study resumes exactly.
class Sampler {
 public:
  /// Gives numbers from U(0, 1).
  using Random = std::function<double()>;
  virtual ~Sampler() = default;
  /// The next value of a parameter, given the trials before.
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
/// defaults. The n finished trials are split into the best ⌈0.1·n⌉ (at most 25) and the rest. A mixture of normal
/// densities, one per trial and a wide one for the prior, gives the density ℓ(x) of the good and g(x) of the rest. Of
/// 24 candidates drawn from ℓ the one with the largest ℓ(x)/g(x) is taken: with γ the share of the good, expected
/// improvement is proportional to (γ + (1−γ)·g(x)/ℓ(x))⁻¹ (their section 4). A trial's standard deviation is its larger
/// distance to a neighbour, clipped to [range/min(100, n+2), range]. Of more than 25 trials the oldest weigh less.
/// Pruned trials rank after completed ones, by the step they reached.
class TPESampler : public Sampler {
 public:
  explicit TPESampler(TPESamplerOptions options = {}) : options_(options) {}
  double sample(const std::string& name, const Distribution& distribution, const std::vector<TrialRecord>& trials,
                bool maximize, const Random& random) const override;

 private:
  TPESamplerOptions options_;
};

/// Ends a trial whose best value so far is worse than the median of the completed trials' values at the same step.
struct MedianPruner {
  int n_startup_trials = 5;  ///< so many are completed first
  int n_warmup_steps = 0;    ///< none is ended at a step below
  bool should_prune(const TrialRecord& trial, const std::vector<TrialRecord>& trials, bool maximize) const;
};

/// Throw it from an objective to end the trial: `if (trial.should_prune()) throw TrialPruned();`
struct TrialPruned {};

class Study;

/// A running trial, passed to the objective. Asked again for the same name, it gives the same value.
class Trial {
 public:
  /// A value in [low, high], with `log` uniform on a logarithmic scale. Throws ValueError for an empty or infinite
  /// range, for low ≤ 0 with log, and for a name that this trial already uses with another range.
  double suggest_float(const std::string& name, double low, double high, bool log = false);
  int suggest_int(const std::string& name, int low, int high, bool log = false);
  std::string suggest_categorical(const std::string& name, const std::vector<std::string>& choices);

  /// Reports an intermediate value after `step` steps (epochs), for the pruner. If a step is reported twice, the first
  /// value stays. Throws ValueError for a negative step.
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
  /// Where the trials are kept (JSON), rewritten after each; a study resumes from an existing file. Study throws
  /// IoError for a place that cannot be written to, ParseError for a file that is not a study.
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
  /// Throws IoError; ParseError for a file that is not a study; ValueError for a study of the other direction or
  /// another seed.
  explicit Study(StudyOptions options = {});

  /// Runs until there are `trials` finished ones in all, including those of the file. Ctrl-C ends it after the current
  /// trial, which is dropped (if the objective itself returns). A trial whose objective returns NaN has failed: it is
  /// kept, but not learnt from. An exception of the objective ends the study; earlier trials are in the file.
  void optimize(const std::function<double(Trial&)>& objective, int trials);

  /// All trials so far.
  const std::vector<TrialRecord>& trials() const { return trials_; }
  /// The completed trial with the best value, the first of equals. Throws StateError if there is none.
  const TrialRecord& best_trial() const;
  /// The best value up to each trial, as for a history plot. NaN before the first completed one.
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
