#pragma once
// Inside check/: the derivative of a scalar S by differences, along an entry of a tensor or a direction, with its
// uncertainty.
#include <functional>
#include <utility>
#include <vector>

#include "handgrad/base/tensor.hpp"

namespace handgrad::detail {

using Values = std::vector<double>;
/// S as a list of terms, and the side of each kink on which the forward ran. Terms are subtracted one by one before
/// they are summed, so that those independent of an entry cancel.
using Terms = std::function<Values(std::vector<bool>& sides)>;

bool all_finite(const Values& values);
/// The power of two nearest to h > 0: x ± h is then exact unless h is below the last digits of x.
double power_of_two(double h);
double last_digit(double x);  // the distance to the next representable number

/// The direction of a step: one entry, or all entries at once, each by ±1 times the step.
struct Line {
  std::size_t index = 0;
  const Values* signs = nullptr;
};

/// The scales on which a tensor's values vary: the spread within a row or column, not the distance from 0, which many
/// functions (a norm, for one) ignore.
class Scales {
 public:
  explicit Scales(const Tensor<double>& value);
  /// The spread of the entry's row or column, whichever is smaller but not 0; if nothing varies, |x|, or 1 for x = 0.
  double spread(std::size_t index) const;
  /// The same, but at most |x| where x ≠ 0.
  double scale(std::size_t index) const;
  /// The largest value minus the smallest.
  double width() const { return all_; }

 private:
  Values value_, by_row_, by_column_;
  double all_ = 0;
  std::size_t columns_ = 1;
};

struct Difference {
  double value = 0;
  Values by_term;  // whose sum is the value
  /// Whether the forward crosses a kink, or throws or is not finite (S is undefined) above or below.
  bool kink = false, outside_above = false, outside_below = false;
  Values above, below;
  bool usable() const { return !kink && !outside_above && !outside_below; }
};

/// A derivative estimated by differences: value ± uncertainty.
struct Estimate {
  double value = 0, uncertainty = 0;
  double step = 0;  // the most informative h
  bool kink = false, outside = false, one_sided = false;
  bool usable() const { return !kink && !outside; }
};

/// Moves a tensor, evaluates S, and puts the tensor back bit for bit.
class Differencer {
 public:
  Differencer(const Tensor<double>& value, const Terms& terms);

  /// Whether S is finite at the current point.
  bool finite_here() const { return all_finite(here_); }
  const Scales& scales() const { return scales_; }
  /// About share·spread: a power of two, and large enough to change x.
  double step(const Line& line, double share) const;

  /// (S(+h) − S(−h)) / 2h
  Difference central(const Line& line, double h);
  /// (−3S(0) + 4S(±h) − S(±2h)) / ±2h, where S exists on one side only.
  Difference one_sided(const Line& line, double h, bool above);
  /// (S(0) − S(−h)) / h and (S(h) − S(0)) / h
  std::pair<double, double> slopes(std::size_t index, double h);

  /// Two central differences extrapolated, with no error estimate; NaN at a kink.
  double quick(const Line& line, double h);

  /// The most exact derivative that differences give, by a sweep of steps from far below the spread upwards. The
  /// rounding of S over h bounds each estimate, so uncertainty falls as h grows, until curvature moves the value
  /// outside the interval left by smaller steps (Lepski 1991), a kink or the edge of the domain is met, or the
  /// uncertainty is below `enough`. Beyond the spread the sweep continues only while S is linear. Differences are
  /// extrapolated to h = 0 (Richardson). `term_noise` is each term's uncertainty beyond its last digit, or empty;
  /// `first_step` another h to begin with.
  Estimate estimate(const Line& line, const Values& term_noise, const std::function<bool(const Estimate&)>& enough = {},
                    double first_step = 0);

 private:
  struct Place {
    Values terms;
    std::vector<bool> sides;
    bool exists = false;
  };
  Place at(const Line& line, double shift);
  double smallest_step(const Line& line) const;
  double bend(const Difference& d) const;

  Tensor<double> value_;
  const Terms& terms_;
  Values original_, here_;
  std::vector<bool> sides_here_;
  Scales scales_;
};

}  // namespace handgrad::detail
