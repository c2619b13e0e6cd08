#include "handgrad/check/verdict.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>
#include <optional>

#include "handgrad/base/random.hpp"

namespace handgrad::detail {

namespace {

constexpr double nan = std::numeric_limits<double>::quiet_NaN();
constexpr double infinity = std::numeric_limits<double>::infinity();
constexpr double epsilon = std::numeric_limits<double>::epsilon();

/// Differences that leave a larger share of an entry open say nothing about it.
constexpr double coarsest = 1e-3;
/// The allowance for a backward's rounding, as a multiple of that measured at a few points.
constexpr double patience = 32;
/// An entry below this share of the step's largest gradient may be lost in rounding that cannot be measured nearby.
constexpr double tiny = 1e-9;
/// Below this one the differences may miss a part of it: what reaches the output through a saturated network.
constexpr double hidden = 1e-40;
/// After this many entries refuted by a whole sweep, the others use its best step.
constexpr std::size_t whole_sweeps = 3;
/// The number of entries examined in a large tensor that fails.
constexpr std::size_t most_entries = 2000;

class Checker {
 public:
  Checker(const Variable& variable, const GradcheckOptions& options, double tolerance)
      : variable_(variable),
        options_(options),
        tolerance_(tolerance),
        generator_(options.seed),
        S_(variable.value, variable.terms) {}

  TensorReport operator()() {
    const std::size_t n = variable_.analytic.size();
    report_.name = variable_.name;
    report_.shape = variable_.value.shape();
    report_.value = variable_.value.clone();
    report_.analytic = Tensor<double>(report_.shape, variable_.analytic);
    report_.accumulates = variable_.accumulates;
    report_.repeats = variable_.repeats;
    report_.found = variable_.found;
    numeric_.assign(n, nan);
    uncertainty_.assign(n, 0);
    for (const double a : variable_.analytic) largest_ = std::max(largest_, std::isfinite(a) ? std::abs(a) : 0);
    if (S_.finite_here()) compare_entries();
    for (const GradientEntry& entry : hidden_)  // a fault would be in all entries of that size
      if (agreeing_ > 0)
        ++report_.excused;
      else
        take(entry.index, entry.numeric, entry.error, 0);
    report_.numeric = Tensor<double>(report_.shape, numeric_);
    report_.uncertainty = Tensor<double>(report_.shape, uncertainty_);
    judge();
    return std::move(report_);
  }

 private:
  void compare_entries() {
    const std::size_t n = variable_.analytic.size();
    if (n <= options_.max_entries) {
      for (std::size_t i = 0; i < n; ++i) compare(i);
      return;
    }
    const std::size_t samples =
        variable_.samples > 0 ? std::min(variable_.samples, options_.max_entries) : options_.max_entries;
    const bool straight = along_directions();
    const std::vector<std::size_t> order = randperm(n, generator_);
    for (std::size_t i = 0; i < samples; ++i) compare(order[i]);
    if (straight && report_.worst_error() <= tolerance_) return;
    for (std::size_t i = samples; i < std::min(n, most_entries); ++i) compare(order[i]);
    if (!straight && report_.worst_error() <= tolerance_) astray_ = true;
  }

  static double relative(double gap, double a, double n) { return gap == 0 ? 0 : gap / (std::abs(a) + std::abs(n)); }

  /// The backward's own rounding at an entry: measured, or, if the gradient cannot be recomputed, the last digits of
  /// its largest entry.
  double analytic_noise(std::size_t i) const {
    const double digits = 4 * epsilon * std::abs(variable_.analytic[i]);
    if (!measured_) return digits;
    if (!measured_->known) return 64 * epsilon * step_size();
    if (variable_.place >= measured_->gradients.size()) return 4 * epsilon * largest_;
    const Values& noise = measured_->gradients[variable_.place];
    // A gradient that is pure rounding, as of a bias before BatchNorm.
    if (largest_ <= 1e3 * *std::max_element(noise.begin(), noise.end())) return 2 * largest_;
    return std::max(digits, patience * noise[i]);
  }
  /// The largest entry of all the step's gradients.
  double step_size() const { return std::max(largest_, variable_.largest); }
  /// Whether both are of similar size and within the last digits of the step's largest gradient.
  bool both_rounding(double a, double n) const {
    const double larger = std::max(std::abs(a), std::abs(n)), smaller = std::min(std::abs(a), std::abs(n));
    if (n == 0 && larger <= 64 * epsilon * variable_.cancels) return true;
    return smaller <= 0.25 * larger && larger <= 64 * epsilon * step_size();
  }
  /// Whether the gap at an entry that is tiny beside the others, or at one that a last digit of 1 would explain, is the
  /// backward's fault. Rounding that no measurement nearby shows has another share of such an entry elsewhere: what
  /// 1 − y or 1 − y² loses for y next to 1, or a path hidden below the last digits of a saturated network. A fault is
  /// the same at other values of the tensor.
  bool persists(std::size_t i, double a, double n) {
    const double size = std::max(std::abs(a), std::abs(n));
    if (!variable_.again || (size > tiny * step_size() && std::abs(a - n) > 4 * epsilon * variable_.cancels))
      return true;
    if (a == 0) return true;
    Tensor<double> value = variable_.value;
    const Values here = value.to_vector();
    const double share_here = n / a, gap = std::abs(1 - share_here);
    std::size_t usable = 0, same = 0;
    for (const double step : {0x1p-10, -0x1p-8, 0x1p-5, -0x1p-4, 0x1p-3, -0x1p-2, 0x1p-1}) {
      Values moved = here;
      for (std::size_t k = 0; k < moved.size(); ++k) moved[k] += (k % 2 ? step : -step) * S_.scales().spread(k);
      value.copy_from(Tensor<double>(value.shape(), moved));
      try {
        const double there = variable_.again()[i];
        Differencer S(value, variable_.terms);
        const Estimate e = S.estimate({i}, term_noise());
        const double doubt = e.uncertainty / std::abs(there);
        if (e.usable() && doubt < 0.5 * gap) {
          ++usable;
          same += std::abs(e.value / there - share_here) <= 0.05 * gap + doubt;
        }
      } catch (const std::exception&) {  // outside the domain
      }
    }
    value.copy_from(Tensor<double>(value.shape(), here));
    return usable < 2 || same == usable;
  }
  /// Whether the backward is right around x, though not at x itself. A step h beyond the spread cannot see a part of S
  /// that ends within the spread, as a unit that saturates, and is smaller than the last digits of S; the gradient at x
  /// has it. What the step measures is the mean of S′ over x − h … x + h: a right gradient has that value nearly
  /// everywhere there, a wrong one nowhere.
  bool right_around(std::size_t i, const Estimate& e, double doubt) {
    if (!variable_.again || e.step <= S_.scales().scale(i)) return false;
    Tensor<double> value = variable_.value;
    const Values here = value.to_vector();
    Values around;
    for (const double share : {-1.0, 1.0, -0.75, 0.75, -0.5, 0.5, -0.25, 0.25}) {
      Values moved = here;
      moved[i] += share * e.step;
      value.copy_from(Tensor<double>(value.shape(), moved));
      try {
        around.push_back(variable_.again()[i]);
      } catch (const std::exception&) {  // outside the domain
      }
    }
    value.copy_from(Tensor<double>(value.shape(), here));
    if (around.size() < 4) return false;
    std::sort(around.begin(), around.end());
    const std::size_t middle = around.size() / 2;
    return std::abs((around[middle - 1] + around[middle]) / 2 - e.value) <= doubt;
  }
  /// Whether the backward is right below the steps of the sweep: where two close values of a widely spread row change
  /// places, the forward seems to have a kink.
  bool agrees_below(std::size_t i, double gap) {
    const Estimate e = S_.estimate({i}, term_noise(), {}, 64 * last_digit(variable_.value.to_vector()[i]));
    return e.usable() && e.uncertainty < 0.01 * gap && std::abs(variable_.analytic[i] - e.value) <= e.uncertainty;
  }
  const Values& term_noise() const {
    static const Values none;
    return measured_ ? measured_->terms : none;
  }

  void compare(std::size_t i) {
    const double a = variable_.analytic[i];
    const Line line{i};
    const Difference d = S_.central(line, S_.step(line, options_.step));
    if (d.usable()) {
      if (a == 0 && d.value == 0) {
        ++report_.excused;
        numeric_[i] = 0;
        return;
      }
      const double error = relative(std::abs(a - d.value), a, d.value);
      if (error <= tolerance_) return take(i, d.value, error, 0);
      if (!std::isfinite(a)) return take(i, d.value, infinity, 0);
    }
    if (refuted_ >= whole_sweeps && d.usable() && follow(i)) return;
    sweep(i);
  }

  /// Uses the best step of other entries.
  bool follow(std::size_t i) {
    const double h = std::min(best_.step, S_.step({i}, 0x1p-12)), n = S_.quick({i}, h),
                 uncertainty = best_.uncertainty * best_.step / h, doubt = uncertainty + analytic_noise(i);
    const double a = variable_.analytic[i], gap = std::abs(a - n);
    if (std::isnan(n) || !(gap > 4 * doubt) || !persists(i, a, n)) return false;
    take(i, n, relative(gap - doubt, a, n), uncertainty);
    return true;
  }

  void sweep(std::size_t i) {
    const double a = variable_.analytic[i];
    const auto enough = [&](const Estimate& e) {
      return std::abs(a - e.value) + e.uncertainty <= tolerance_ * (std::abs(a) + std::abs(e.value)) ||
             e.uncertainty <= 1e-3 * tolerance_ * std::abs(e.value);
    };
    Estimate e = S_.estimate({i}, term_noise(), enough);
    const auto gap = [&] { return std::abs(a - e.value); };
    const auto doubt = [&] { return e.uncertainty + analytic_noise(i); };
    if (e.usable() && gap() > doubt() && !measured_ && variable_.noise) {  // the noise must be measured first
      measured_ = &variable_.noise();
      e = S_.estimate({i}, term_noise(), enough);
    }
    if (e.kink) {
      ++report_.skipped;
    } else if (e.outside || (e.one_sided && gap() > doubt())) {
      ++report_.outside;
    } else if (relative(gap(), a, e.value) <= tolerance_) {
      take(i, e.value, relative(gap(), a, e.value), e.uncertainty);
    } else if (both_rounding(a, e.value) ||
               (!(gap() <= doubt()) && std::isfinite(a) &&
                (agrees_below(i, gap()) || !persists(i, a, e.value) || right_around(i, e, doubt())))) {
      ++report_.excused;
    } else if (gap() <= doubt()) {
      if (doubt() > coarsest * std::max(std::abs(a), std::abs(e.value))) {
        ++report_.excused;
        return;
      }
      report_.resolution = std::max(report_.resolution, relative(doubt(), a, e.value));
      take(i, e.value, 0, e.uncertainty);
    } else if (std::max(std::abs(a), std::abs(e.value)) <= hidden * step_size() && gap() < 0.5 * std::abs(a)) {
      hidden_.push_back({i, a, e.value, relative(gap() - doubt(), a, e.value)});
    } else {
      if (e.value != 0) ++refuted_, best_ = e;
      take(i, e.value, std::isfinite(a) ? relative(gap() - doubt(), a, e.value) : infinity, e.uncertainty);
    }
    report_.one_sided += e.one_sided && !std::isnan(numeric_[i]);
  }

  void take(std::size_t i, double n, double error, double uncertainty) {
    numeric_[i] = n;
    uncertainty_[i] = uncertainty;
    ++report_.checked;
    agreeing_ += error <= tolerance_;
    report_.worst.push_back({i, variable_.analytic[i], n, error});
    std::sort(report_.worst.begin(), report_.worst.end(),
              [](const GradientEntry& x, const GradientEntry& y) { return x.error > y.error; });
    if (report_.worst.size() > 5) report_.worst.pop_back();
  }

  /// Moves all entries at once, each by the same step up or down: the derivative along such a line is about the
  /// gradient's norm.
  bool along_directions() {
    const std::size_t n = variable_.analytic.size();
    const double length = std::sqrt(
        std::inner_product(variable_.analytic.begin(), variable_.analytic.end(), variable_.analytic.begin(), 0.0));
    const double tolerance = std::max(1e-6, tolerance_);
    for (int k = 0; k < 2; ++k) {
      Values signs(n);
      for (double& s : signs) s = generator_.random() % 2 ? 1 : -1;
      const Line line{0, &signs};
      const double a = std::inner_product(signs.begin(), signs.end(), variable_.analytic.begin(), 0.0);
      const auto agrees = [&](double derivative) {
        return std::abs(a - derivative) <= tolerance * (std::abs(derivative) + length);
      };
      const Difference d = S_.central(line, S_.step(line, options_.step / std::sqrt(static_cast<double>(n))));
      if (d.usable() && agrees(d.value)) continue;
      if (!std::isfinite(a)) return false;
      if (!measured_ && variable_.noise) measured_ = &variable_.noise();
      double doubt = 0;
      for (std::size_t i = 0; i < n; ++i) doubt += analytic_noise(i) * analytic_noise(i);
      const Estimate e = S_.estimate(line, term_noise(), [&](const Estimate& so_far) { return agrees(so_far.value); });
      if (!e.usable() || agrees(e.value)) continue;
      if (std::abs(a - e.value) > e.uncertainty + std::sqrt(doubt)) return false;
    }
    return true;
  }

  void judge() {
    const std::size_t unwritten = static_cast<std::size_t>(std::count_if(
        variable_.analytic.begin(), variable_.analytic.end(), [](double a) { return !std::isfinite(a); }));
    const bool zero =
        std::all_of(variable_.analytic.begin(), variable_.analytic.end(), [](double a) { return a == 0; });
    const std::size_t skipped = report_.skipped + report_.outside;
    const std::size_t looked_at = report_.checked + skipped + report_.excused;
    report_.verdict = Verdict::Fail;
    if (unwritten > 0)
      report_.reason = std::to_string(unwritten) +
                       " entries are not finite: never written by the backward, or NaN or inf came in with δ or x";
    else if (!S_.finite_here())
      report_.reason = "the forward's output is not finite";
    else if (variable_.found.named() && report_.checked > 0)
      report_.reason = variable_.found.what + ": " + variable_.found.evidence;
    else if (report_.checked > 0 && report_.worst_error() > tolerance_)
      report_.reason.clear();
    else if (astray_)
      report_.reason =
          "along a random direction the gradient is wrong; none of the entries that were compared shows it";
    else if (!report_.accumulates)
      report_.reason = "a backward onto an earlier gradient did not add to it: grad += dW, not grad = dW";
    else if (!report_.repeats)
      report_.reason = "a second backward after one forward gave something else: the first destroyed what was saved";
    else {
      report_.verdict = Verdict::Inconclusive;
      if (static_cast<double>(skipped) > options_.max_skipped * static_cast<double>(looked_at))
        report_.reason = report_.outside > report_.skipped
                             ? "beside too many entries the forward throws or is not finite: the end of its domain"
                             : "too many entries lie at a kink; try another x";
      else if (zero)
        report_.reason =
            "the gradient is zero everywhere, and so are the differences: that proves nothing "
            "(dead or saturated units, or a step?)";
      else if (report_.checked == 0)
        report_.reason = "no entry could be told from rounding";
      else
        report_.verdict = Verdict::Pass;
    }
  }

  const Variable& variable_;
  const GradcheckOptions& options_;
  double tolerance_;
  Generator generator_;
  Differencer S_;
  TensorReport report_;
  Values numeric_, uncertainty_;
  double largest_ = 0;
  const Noise* measured_ = nullptr;
  std::size_t refuted_ = 0;
  Estimate best_;
  bool astray_ = false;
  std::size_t agreeing_ = 0;
  std::vector<GradientEntry> hidden_;
};

}  // namespace

TensorReport check_variable(const Variable& variable, const GradcheckOptions& options, double tolerance) {
  return Checker(variable, options, tolerance)();
}

}  // namespace handgrad::detail
