#include "handgrad/check/differences.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>

#include "handgrad/base/random.hpp"

namespace handgrad::detail {

namespace {

constexpr double nan = std::numeric_limits<double>::quiet_NaN();

struct Difference {
  double value = nan;  // (S(+h) − S(−h)) / 2h
  bool kink = false;   // one lies in between
};

/// Moves a variable, evaluates, and puts it back bit for bit.
class Differencer {
 public:
  explicit Differencer(const Variable& variable)
      : variable_(variable), value_(variable.value), original_(variable.value.to_vector()) {}

  /// Along `direction`, which has an element for each of the variable's; or, empty, along entry `index` alone.
  Difference operator()(std::size_t index, double h, const Values& direction = {}) {
    std::vector<bool> sides_up, sides_down;
    const Values up = at(index, h, direction, sides_up), down = at(index, -h, direction, sides_down);
    value_.copy_from(Tensor<double>(value_.shape(), original_));
    double sum = 0;
    for (std::size_t i = 0; i < up.size(); ++i) sum += up[i] - down[i];
    // What the machine made of ±h, not what was asked for.
    const double x = original_[index], width = direction.empty() ? (x + h) - (x - h) : 2 * h;
    return {sum / width, sides_up != sides_down};
  }
  double original(std::size_t index) const { return original_[index]; }

 private:
  Values at(std::size_t index, double h, const Values& direction, std::vector<bool>& sides) {
    Values moved = original_;
    if (direction.empty())
      moved[index] += h;
    else
      for (std::size_t i = 0; i < moved.size(); ++i) moved[i] += h * direction[i];
    value_.copy_from(Tensor<double>(value_.shape(), moved));
    return variable_.terms(sides);
  }

  const Variable& variable_;
  Tensor<double> value_;
  Values original_;
};

double relative_error(double a, double n) {
  const double error = std::abs(a - n) / std::max(1e-8, std::abs(a) + std::abs(n));
  return std::isnan(error) ? std::numeric_limits<double>::infinity() : error;
}

/// Ridders' method: differences for h, h/1.4, h/1.4², … extrapolated to h = 0 (Neville). The estimate is the one that
/// its neighbours in the table agree with best, and how well they agree is its uncertainty.
struct Estimate {
  double value = nan, uncertainty = std::numeric_limits<double>::infinity();
};
Estimate ridders(Differencer& differences, std::size_t index) {
  constexpr int rows = 10;
  constexpr double shrink = 1.4;
  double table[rows][rows];
  double h = 1e-3 * std::max(1.0, std::abs(differences.original(index)));
  Estimate best;
  for (int i = 0; i < rows; ++i, h /= shrink) {
    const Difference d = differences(index, h);
    if (d.kink) {  // start again below it
      if (i > 0 || h < 1e-9) return best;
      i = -1;
      continue;
    }
    table[i][0] = d.value;
    double power = shrink * shrink;
    for (int j = 1; j <= i; ++j, power *= shrink * shrink) {
      table[i][j] = (table[i][j - 1] * power - table[i - 1][j - 1]) / (power - 1);
      const double spread =
          std::max(std::abs(table[i][j] - table[i][j - 1]), std::abs(table[i][j] - table[i - 1][j - 1]));
      if (spread <= best.uncertainty) best = {table[i][j], spread};
    }
    if (i > 0 && std::abs(table[i][i] - table[i - 1][i - 1]) > 2 * best.uncertainty) break;
  }
  return best;
}

class Checker {
 public:
  Checker(const GradcheckOptions& options, double tolerance)
      : options_(options), tolerance_(tolerance), generator_(options.seed) {}

  TensorReport check(const Variable& variable) {
    TensorReport report;
    report.name = variable.name;
    report.shape = variable.value.shape();
    report.value = variable.value.clone();
    report.analytic = Tensor<double>(report.shape, variable.analytic);
    report.accumulates = variable.accumulates;
    report.repeats = variable.repeats;
    const std::size_t n = variable.analytic.size();
    Values numeric(n, nan);
    Differencer differences(variable);
    if (n <= options_.max_entries) {
      for (std::size_t i = 0; i < n; ++i) compare(i, variable, differences, numeric, report);
    } else {
      std::vector<std::size_t> order = randperm(n, generator_);
      for (std::size_t i = 0; i < options_.max_entries; ++i) compare(order[i], variable, differences, numeric, report);
      const bool astray = !along_directions(variable, differences);
      if (astray || report.worst_error() > tolerance_)
        for (std::size_t i = options_.max_entries; i < n; ++i)
          compare(order[i], variable, differences, numeric, report);
    }
    report.numeric = Tensor<double>(report.shape, numeric);
    judge(variable, report);
    return report;
  }

 private:
  void compare(std::size_t i, const Variable& variable, Differencer& differences, Values& numeric,
               TensorReport& report) {
    const double a = variable.analytic[i];
    const Difference d = differences(i, options_.step * std::max(1.0, std::abs(differences.original(i))));
    if (d.kink) {
      ++report.skipped;
      return;
    }
    double n = d.value, error = relative_error(a, n);
    if (error > tolerance_ && std::isfinite(a)) {
      const Estimate refined = ridders(differences, i);
      if (std::isfinite(refined.value)) n = refined.value;
      error = relative_error(a, n);
      // Rounding of S limits what differences can tell: about 1e-16·|terms|/h.
      if (error > tolerance_ && std::abs(a - n) <= 10 * refined.uncertainty && std::abs(a) + std::abs(n) < 1e-3) {
        ++report.excused;
        return;
      }
    } else if (a == 0 && n == 0) {
      ++report.excused;
      numeric[i] = 0;
      return;
    }
    numeric[i] = n;
    ++report.checked;
    report.worst.push_back({i, a, n, error});
    std::sort(report.worst.begin(), report.worst.end(),
              [](const GradientEntry& x, const GradientEntry& y) { return x.error > y.error; });
    if (report.worst.size() > 5) report.worst.pop_back();
  }

  bool along_directions(const Variable& variable, Differencer& differences) {
    const std::size_t n = variable.analytic.size();
    for (int k = 0; k < 3; ++k) {
      Values direction(n);
      for (double& d : direction) d = generator_.normal() / std::sqrt(static_cast<double>(n));
      const double a = std::inner_product(direction.begin(), direction.end(), variable.analytic.begin(), 0.0);
      const Difference d = differences(0, options_.step, direction);
      if (!d.kink && relative_error(a, d.value) > std::max(1e-6, tolerance_)) return false;
    }
    return true;
  }

  void judge(const Variable& variable, TensorReport& report) const {
    const std::size_t unwritten = static_cast<std::size_t>(
        std::count_if(variable.analytic.begin(), variable.analytic.end(), [](double a) { return !std::isfinite(a); }));
    const bool zero = std::all_of(variable.analytic.begin(), variable.analytic.end(), [](double a) { return a == 0; });
    const std::size_t looked_at = report.checked + report.skipped + report.excused;
    report.verdict = Verdict::Fail;
    if (unwritten > 0)
      report.reason = std::to_string(unwritten) +
                      " entries are not finite: never written by the backward, or NaN or inf came in with δ or x";
    else if (report.checked > 0 && report.worst_error() > tolerance_)
      report.reason.clear();
    else if (!report.accumulates)
      report.reason = "a backward onto an earlier gradient did not add to it: grad += dW, not grad = dW";
    else if (!report.repeats)
      report.reason = "a second backward after one forward gave something else: the first destroyed what was saved";
    else {
      report.verdict = Verdict::Inconclusive;
      if (static_cast<double>(report.skipped) > options_.max_skipped * static_cast<double>(looked_at))
        report.reason = "too many entries lie at a kink; try another x";
      else if (zero)
        report.reason =
            "the gradient is zero everywhere, and so are the differences: that proves nothing "
            "(dead or saturated units, or a step?)";
      else if (report.checked == 0)
        report.reason = "no entry could be told from rounding";
      else
        report.verdict = Verdict::Pass;
    }
  }

  const GradcheckOptions& options_;
  double tolerance_;
  Generator generator_;
};

}  // namespace

TensorReport check_variable(const Variable& variable, const GradcheckOptions& options, double tolerance) {
  return Checker(options, tolerance).check(variable);
}

Tensor<double> numeric_gradient(const Variable& variable, double step) {
  Differencer differences(variable);
  Values numeric(variable.value.numel());
  for (std::size_t i = 0; i < numeric.size(); ++i) {
    const Difference d = differences(i, step * std::max(1.0, std::abs(differences.original(i))));
    numeric[i] = d.kink ? nan : d.value;
  }
  return Tensor<double>(variable.value.shape(), numeric);
}

std::pair<double, double> one_sided_slopes(const Variable& variable, std::size_t index, double h) {
  Tensor<double> value = variable.value;
  const Values original = value.to_vector();
  std::vector<bool> sides;
  const auto at = [&](double shift) {
    Values moved = original;
    moved[index] += shift;
    value.copy_from(Tensor<double>(value.shape(), moved));
    return variable.terms(sides);
  };
  const Values down = at(-h), up = at(h), here = at(0);  // the last puts it back
  double left = 0, right = 0;
  for (std::size_t i = 0; i < here.size(); ++i) left += here[i] - down[i], right += up[i] - here[i];
  return {left / h, right / h};
}

}  // namespace handgrad::detail
