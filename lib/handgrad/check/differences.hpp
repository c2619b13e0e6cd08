#pragma once
// Inside check/: the derivative of a scalar S along an entry of a tensor, or along a direction, by differences, and
// what these cannot tell.
#include <functional>
#include <utility>
#include <vector>

#include "handgrad/base/tensor.hpp"

namespace handgrad::detail {

using Values = std::vector<double>;
/// S, as the terms that add up to it, with the sides of all kinks on which the forward ran. (Terms are subtracted one
/// by one before they are added up: those that do not depend on an entry cancel.)
using Terms = std::function<Values(std::vector<bool>& sides)>;

bool all_finite(const Values& values);
/// The power of two nearest to h > 0: x ± h is then exact while h is not below the last digits of x.
double power_of_two(double h);
double last_digit(double x);  // the distance to the next number

/// Where to move: one entry, or all of them at once, each by ±1 times the step.
struct Line {
  std::size_t index = 0;
  const Values* signs = nullptr;
};

/// The lengths on which a tensor's values differ: between neighbours in a row or a column, not their distance from 0,
/// which is what the functions of interest do not care for (a norm takes it away).
class Scales {
 public:
  explicit Scales(const Tensor<double>& value);
  /// The spread of the entry's row or column, whichever is smaller but not 0; where nothing differs, |x|, or 1 for 0.
  double spread(std::size_t index) const;
  /// The same, but not above |x| ≠ 0.
  double scale(std::size_t index) const;
  /// From the smallest value to the largest.
  double width() const { return all_; }

 private:
  Values value_, by_row_, by_column_;
  double all_ = 0;
  std::size_t columns_ = 1;
};

/// A difference quotient of S.
struct Difference {
  double value = 0;
  Values by_term;  // whose sum is the value
  /// The forward runs on another side of a kink there; or it throws or is not finite: S does not exist above, below.
  bool kink = false, outside_above = false, outside_below = false;
  Values above, below;
  bool usable() const { return !kink && !outside_above && !outside_below; }
};

/// What differences say of a derivative: value ± uncertainty.
struct Estimate {
  double value = 0, uncertainty = 0;
  double step = 0;  // the h that told most
  bool kink = false, outside = false, one_sided = false;
  bool usable() const { return !kink && !outside; }
};

/// Moves a tensor, evaluates S, and puts the tensor back bit for bit.
class Differencer {
 public:
  Differencer(const Tensor<double>& value, const Terms& terms);

  /// Is S finite where the tensor is?
  bool finite_here() const { return all_finite(here_); }
  const Scales& scales() const { return scales_; }
  /// About share·spread, a power of two, and not lost in the digits of x.
  double step(const Line& line, double share) const;

  /// (S(+h) − S(−h)) / 2h
  Difference central(const Line& line, double h);
  /// (−3S(0) + 4S(±h) − S(±2h)) / ±2h, for where S exists to one side only.
  Difference one_sided(const Line& line, double h, bool above);
  /// (S(0) − S(−h)) / h and (S(h) − S(0)) / h
  std::pair<double, double> slopes(std::size_t index, double h);

  /// Two central differences extrapolated, without a word on what they cannot tell; NaN at a kink.
  double quick(const Line& line, double h);

  /// The derivative as exactly as differences can tell it, by a sweep of steps from far below the spread upwards. Each
  /// step h knows the derivative up to the rounding of S over h: less and less is unknown as h grows, until curvature
  /// moves the value out of what the smaller steps left open (a kink or the end of the domain comes, or the sweep
  /// agrees that this is `enough`). There it ends (after Lepski 1991); beyond the spread only what is linear goes on.
  /// The differences are extrapolated to h = 0 (Richardson). `term_noise` is what a term is uncertain by beyond its
  /// last digit, or empty.
  Estimate estimate(const Line& line, const Values& term_noise,
                    const std::function<bool(const Estimate&)>& enough = {});

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
