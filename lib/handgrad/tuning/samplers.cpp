#include <algorithm>
#include <cmath>
#include <numbers>

#include "handgrad/base/elementary.hpp"
#include "handgrad/tuning/study.hpp"
#include "kernels/formulas/elementary.hpp"

namespace handgrad {

namespace {

/// A parameter on the scale of its densities: logarithmic if requested, with integers as intervals of width 1 around
/// them.
struct Scale {
  explicit Scale(const Distribution& d)
      : log(d.log),
        whole(d.kind == Distribution::Kind::Int),
        low(to(d.low - (whole ? 0.5 : 0))),
        high(to(d.high + (whole ? 0.5 : 0))),
        smallest(d.low),
        largest(d.high) {}
  double to(double value) const { return log ? elementary::log(value) : value; }
  double from(double x) const {
    const double value = log ? elementary::exp(x) : x;
    return std::clamp(whole ? std::round(value) : value, smallest, largest);
  }
  bool log, whole;
  double low, high, smallest, largest;
};

// Φ(b) − Φ(a), computed in the tail that keeps its digits.
double normal_between(double a, double b) {
  using detail::elementary_erfc;
  const double root = std::numbers::sqrt2;
  return a > 0 ? (elementary_erfc(a / root) - elementary_erfc(b / root)) / 2
               : (elementary_erfc(-b / root) - elementary_erfc(-a / root)) / 2;
}

/// The newest 25 of n trials weigh 1, older ones less and less, down to 1/n.
std::vector<double> weights_of(std::size_t n, double prior_weight) {
  std::vector<double> weights(n, 1.0);
  if (n >= 25) {
    const std::size_t ramp = n - 25;
    const double first = 1 / static_cast<double>(n);
    for (std::size_t i = 0; i < ramp; ++i)
      weights[i] = ramp == 1 ? first : first + (1 - first) * static_cast<double>(i) / static_cast<double>(ramp - 1);
  }
  weights.push_back(n == 0 ? 1 : prior_weight);
  double total = 0;
  for (const double w : weights) total += w;
  for (double& w : weights) w /= total;
  return weights;
}

std::size_t draw(const std::vector<double>& weights, double u) {
  for (std::size_t i = 0; i + 1 < weights.size(); ++i) {
    if (u < weights[i]) return i;
    u -= weights[i];
  }
  return weights.size() - 1;
}

/// p(x) = Σᵢ wᵢ·N(x; µᵢ, σᵢ²), each truncated to the range: one per observation, and last the prior's.
class NumericDensity {
 public:
  NumericDensity(const Scale& scale, const std::vector<double>& observations, double prior_weight)
      : scale_(scale), weights_(weights_of(observations.size(), prior_weight)) {
    const double range = scale.high - scale.low;
    for (const double value : observations) mu_.push_back(scale.to(value));
    std::vector<double> sorted = mu_;
    std::sort(sorted.begin(), sorted.end());
    const std::size_t n = sorted.size();
    const double least = range / std::min(100.0, static_cast<double>(n) + 2);
    for (const double mu : mu_) {
      // The larger distance to a neighbour. The ends of the range count as neighbours only of a single observation.
      const auto at = static_cast<std::size_t>(std::lower_bound(sorted.begin(), sorted.end(), mu) - sorted.begin());
      const auto after = static_cast<std::size_t>(std::upper_bound(sorted.begin(), sorted.end(), mu) - sorted.begin());
      double left = at > 0 ? mu - sorted[at - 1] : 0, right = after < n ? sorted[after] - mu : 0;
      if (after - at > 1) left = right = std::max(left, right);
      if (n == 1) left = mu - scale.low, right = scale.high - mu;
      sigma_.push_back(std::clamp(std::max(left, right), least, range));
    }
    mu_.push_back((scale.low + scale.high) / 2);
    sigma_.push_back(range);
  }

  double sample(const Sampler::Random& random) const {
    const std::size_t i = draw(weights_, random());
    // µ lies in the range and σ is at most its width, so at least a third of all draws fall inside.
    for (;;) {
      const double r = std::sqrt(-2 * elementary::log1p(-random())),
                   x = mu_[i] + sigma_[i] * r * detail::elementary_cos(2 * std::numbers::pi * random());
      if (x >= scale_.low && x <= scale_.high) return scale_.from(x);
    }
  }

  double log_density(double value) const {
    double p = 0;
    for (std::size_t i = 0; i < mu_.size(); ++i) {
      const auto standard = [&](double x) { return (x - mu_[i]) / sigma_[i]; };
      const double inside = normal_between(standard(scale_.low), standard(scale_.high));
      const double z = standard(scale_.to(value));
      const double here = scale_.whole
                              ? normal_between(standard(scale_.to(value - 0.5)), standard(scale_.to(value + 0.5)))
                              : elementary::exp(-z * z / 2) / (sigma_[i] * std::sqrt(2 * std::numbers::pi));
      p += weights_[i] * here / inside;
    }
    return elementary::log(p);
  }

 private:
  Scale scale_;
  std::vector<double> weights_, mu_, sigma_;
};

/// p(c) = Σᵢ wᵢ·pᵢ(c), each pᵢ with most of its weight on one observation, and the prior's uniform.
class CategoricalDensity {
 public:
  CategoricalDensity(std::size_t choices, const std::vector<double>& observations, double prior_weight)
      : p_(choices, 0) {
    const std::vector<double> weights = weights_of(observations.size(), prior_weight);
    const double kernels = static_cast<double>(weights.size()), c = static_cast<double>(choices);
    const double smoothing = prior_weight / kernels, total = 1 + smoothing * c;
    for (std::size_t i = 0; i < observations.size(); ++i) {
      for (double& p : p_) p += weights[i] * smoothing / total;
      p_[static_cast<std::size_t>(observations[i])] += weights[i] / total;
    }
    for (double& p : p_) p += weights.back() / c;
  }
  double sample(const Sampler::Random& random) const { return static_cast<double>(draw(p_, random())); }
  double log_density(double choice) const { return elementary::log(p_[static_cast<std::size_t>(choice)]); }

 private:
  std::vector<double> p_;
};

/// The candidate drawn from `good` with the largest ℓ/g.
template <class Density>
double best_candidate(const Density& good, const Density& rest, int candidates, const Sampler::Random& random) {
  double best = 0, best_score = -std::numeric_limits<double>::infinity();
  for (int i = 0; i < candidates; ++i) {
    const double x = good.sample(random), score = good.log_density(x) - rest.log_density(x);
    if (i == 0 || score > best_score) best = x, best_score = score;
  }
  return best;
}

/// Whether the trial's value fits the range requested now; an objective may change its range.
bool comparable(const TrialRecord& t, const std::string& name, const Distribution& d) {
  const double* value = t.find(name);
  if (!value) return false;
  const Distribution& then = t.distributions.at(name);
  if (d.kind == Distribution::Kind::Categorical) return then == d;
  return then.kind == d.kind && *value >= d.low && *value <= d.high;
}

/// Better trials first: completed ones by value, then pruned ones by the step reached and the value there.
std::vector<const TrialRecord*> ranked(const std::string& name, const Distribution& distribution,
                                       const std::vector<TrialRecord>& trials, bool maximize) {
  using State = TrialRecord::State;
  std::vector<const TrialRecord*> done;
  for (const TrialRecord& t : trials)
    if ((t.state == State::Complete || t.state == State::Pruned) && comparable(t, name, distribution))
      done.push_back(&t);
  const auto key = [&](const TrialRecord& t) {
    const double sign = maximize ? -1 : 1;
    if (t.state == State::Complete) return std::tuple(0, 0, sign * t.value);
    if (t.reported.empty()) return std::tuple(2, 0, 0.0);
    const auto& [step, value] = *t.reported.rbegin();
    return std::tuple(1, -step, std::isnan(value) ? std::numeric_limits<double>::infinity() : sign * value);
  };
  std::stable_sort(done.begin(), done.end(),
                   [&](const TrialRecord* a, const TrialRecord* b) { return key(*a) < key(*b); });
  return done;
}

}  // namespace

double RandomSampler::sample(const std::string&, const Distribution& d, const std::vector<TrialRecord>&, bool,
                             const Random& random) const {
  if (d.kind == Distribution::Kind::Categorical) return std::floor(random() * static_cast<double>(d.choices.size()));
  const Scale scale(d);
  return scale.from(scale.low + random() * (scale.high - scale.low));
}

double TPESampler::sample(const std::string& name, const Distribution& d, const std::vector<TrialRecord>& trials,
                          bool maximize, const Random& random) const {
  std::vector<const TrialRecord*> done = ranked(name, d, trials, maximize);
  if (done.size() < static_cast<std::size_t>(std::max(options_.n_startup_trials, 1)))
    return RandomSampler().sample(name, d, trials, maximize, random);
  const std::size_t n = done.size(), good = std::min<std::size_t>((n + 9) / 10, 25);
  const auto part = [&](std::size_t from, std::size_t to) {
    const auto begin = done.begin() + static_cast<std::ptrdiff_t>(from),
               end = done.begin() + static_cast<std::ptrdiff_t>(to);
    std::sort(begin, end, [](const TrialRecord* a, const TrialRecord* b) { return a->number < b->number; });
    std::vector<double> values;
    for (auto t = begin; t != end; ++t) values.push_back(*(*t)->find(name));
    return values;
  };
  const std::vector<double> below = part(0, good), above = part(good, n);
  const double prior = options_.prior_weight;
  if (d.kind == Distribution::Kind::Categorical) {
    const std::size_t choices = d.choices.size();
    return best_candidate(CategoricalDensity(choices, below, prior), CategoricalDensity(choices, above, prior),
                          options_.n_ei_candidates, random);
  }
  const Scale scale(d);
  return best_candidate(NumericDensity(scale, below, prior), NumericDensity(scale, above, prior),
                        options_.n_ei_candidates, random);
}

bool MedianPruner::should_prune(const TrialRecord& trial, const std::vector<TrialRecord>& trials, bool maximize) const {
  if (trial.reported.empty()) return false;
  const int step = trial.reported.rbegin()->first;
  if (step < n_warmup_steps) return false;
  int completed = 0;
  std::vector<double> values;
  for (const TrialRecord& t : trials) {
    if (t.state != TrialRecord::State::Complete) continue;
    ++completed;
    if (const auto at = t.reported.find(step); at != t.reported.end() && !std::isnan(at->second))
      values.push_back(at->second);
  }
  if (completed < n_startup_trials || values.empty()) return false;
  double best = std::numeric_limits<double>::quiet_NaN();
  for (const auto& [at, value] : trial.reported)
    if (std::isnan(best) || (maximize ? value > best : value < best)) best = value;
  if (std::isnan(best)) return true;
  std::sort(values.begin(), values.end());
  const double median = (values[(values.size() - 1) / 2] + values[values.size() / 2]) / 2;
  return maximize ? best < median : best > median;
}

}  // namespace handgrad
