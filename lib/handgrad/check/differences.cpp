#include "handgrad/check/differences.hpp"

#include <algorithm>
#include <cmath>
#include <exception>
#include <limits>
#include <optional>

namespace handgrad::detail {

namespace {

constexpr double nan = std::numeric_limits<double>::quiet_NaN();
constexpr double infinity = std::numeric_limits<double>::infinity();
constexpr double epsilon = std::numeric_limits<double>::epsilon();
/// Below the smallest normal number the last digit no longer shrinks with the value.
constexpr double least_digit = 4 * std::numeric_limits<double>::denorm_min();

}  // namespace

bool all_finite(const Values& values) {
  return std::all_of(values.begin(), values.end(), [](double v) { return std::isfinite(v); });
}

double power_of_two(double h) { return std::exp2(std::round(std::log2(h))); }

double last_digit(double x) { return std::nextafter(std::abs(x), infinity) - std::abs(x); }

// Scales -------------------------------------------------------------------------------------------------------------

Scales::Scales(const Tensor<double>& value) : value_(value.to_vector()) {
  columns_ = value.rank() < 2 ? std::max<std::size_t>(value_.size(), 1) : value.shape().columns();
  const std::size_t rows = value_.size() / columns_;
  const auto spread_of = [&](std::size_t first, std::size_t count, std::size_t stride) {
    double low = infinity, high = -infinity;
    for (std::size_t k = 0; k < count; ++k) {
      const double v = value_[first + k * stride];
      low = std::min(low, v), high = std::max(high, v);
    }
    return std::isfinite(high - low) ? high - low : 0;
  };
  for (std::size_t i = 0; i < rows; ++i) by_row_.push_back(spread_of(i * columns_, columns_, 1));
  for (std::size_t j = 0; j < columns_; ++j) by_column_.push_back(spread_of(j, rows, columns_));
  all_ = spread_of(0, value_.size(), 1);
}

double Scales::spread(std::size_t index) const {
  const double row = by_row_[index / columns_], column = by_column_[index % columns_];
  if (row > 0 && column > 0) return std::min(row, column);
  for (const double some : {row, column, all_, std::abs(value_[index])})
    if (some > 0) return some;
  return 1;
}

double Scales::scale(std::size_t index) const {
  const double x = std::abs(value_[index]);
  return x > 0 ? std::min(x, spread(index)) : spread(index);
}

// Moving -------------------------------------------------------------------------------------------------------------

Differencer::Differencer(const Tensor<double>& value, const Terms& terms)
    : value_(value), terms_(terms), original_(value.to_vector()), scales_(value) {
  here_ = terms_(sides_here_);
}

Differencer::Place Differencer::at(const Line& line, double shift) {
  const bool on_cpu = value_.device().is_cpu();
  const auto put = [&](double by) {
    Values moved;
    if (!on_cpu) moved = original_;
    double* elements = on_cpu ? value_.data() : moved.data();
    if (line.signs)
      for (std::size_t i = 0; i < original_.size(); ++i)
        elements[i] = by == 0 ? original_[i] : original_[i] + by * (*line.signs)[i];
    else
      elements[line.index] = by == 0 ? original_[line.index] : original_[line.index] + by;
    if (!on_cpu) value_.copy_from(Tensor<double>(value_.shape(), moved));
  };
  put(shift);
  Place place;
  try {
    place.terms = terms_(place.sides);
    place.exists = all_finite(place.terms) && place.terms.size() == here_.size();
  } catch (const std::exception&) {  // outside the domain
  }
  put(0);
  return place;
}

double Differencer::smallest_step(const Line& line) const {
  double digit = 0, scale = infinity;
  const auto look = [&](std::size_t i) {
    digit = std::max(digit, last_digit(original_[i]));
    scale = std::min(scale, scales_.scale(i));
  };
  if (line.signs)
    for (std::size_t i = 0; i < original_.size(); ++i) look(i);
  else
    look(line.index);
  return std::max(4 * digit, power_of_two(std::max(scale, 1e-280) * 0x1p-60));
}

double Differencer::step(const Line& line, double share) const {
  double spread = line.signs ? infinity : scales_.spread(line.index);
  if (line.signs)
    for (std::size_t i = 0; i < original_.size(); ++i) spread = std::min(spread, scales_.spread(i));
  return std::max(smallest_step(line), power_of_two(std::max(share * spread, 1e-290)));
}

Difference Differencer::central(const Line& line, double h) {
  Place above = at(line, h), below = at(line, -h);
  Difference d;
  d.outside_above = !above.exists;
  d.outside_below = !below.exists;
  d.kink = above.exists && below.exists && above.sides != below.sides;
  if (!d.usable()) return d;
  // Divide by the step actually taken after rounding, not the one requested.
  const double x = original_[line.index], width = line.signs ? 2 * h : (x + h) - (x - h);
  d.by_term.resize(here_.size());
  double sum = 0;
  for (std::size_t i = 0; i < here_.size(); ++i) {
    sum += above.terms[i] - below.terms[i];
    d.by_term[i] = (above.terms[i] - below.terms[i]) / width;
  }
  d.value = sum / width;
  d.above = std::move(above.terms);
  d.below = std::move(below.terms);
  return d;
}

Difference Differencer::one_sided(const Line& line, double h, bool above) {
  const double to = above ? h : -h;
  Place near = at(line, to), far = at(line, 2 * to);
  Difference d;
  (above ? d.outside_above : d.outside_below) = !near.exists || !far.exists;
  d.kink = near.exists && far.exists && (near.sides != far.sides || near.sides != sides_here_);
  if (!d.usable()) return d;
  for (std::size_t i = 0; i < here_.size(); ++i) {
    d.by_term.push_back((4 * (near.terms[i] - here_[i]) - (far.terms[i] - here_[i])) / (2 * to));
    d.value += d.by_term[i];
  }
  d.above = std::move(near.terms);
  d.below = std::move(far.terms);
  return d;
}

std::pair<double, double> Differencer::slopes(std::size_t index, double h) {
  const Place above = at({index}, h), below = at({index}, -h);
  if (!above.exists || !below.exists) return {nan, nan};
  double left = 0, right = 0;
  for (std::size_t i = 0; i < here_.size(); ++i) {
    left += here_[i] - below.terms[i];
    right += above.terms[i] - here_[i];
  }
  return {left / h, right / h};
}

double Differencer::quick(const Line& line, double h) {
  const Difference near = central(line, h);
  if (!near.usable()) return nan;
  const Difference far = central(line, 4 * h);
  return far.usable() ? near.value + (near.value - far.value) / 15 : near.value;
}

// The sweep ----------------------------------------------------------------------------------------------------------

namespace {

/// The possible error in the sum of the terms that depend on the moved entry: their last digits, or the measured noise.
class TermNoise {
 public:
  TermNoise(const Values& here, const Values& measured) : here_(here), measured_(measured), far_(here.size(), -1) {}

  /// Small steps are lost in a term's last digit; larger ones show whether it depends on the entry.
  void look_far(const Values& moved) {
    for (std::size_t i = 0; i < moved.size(); ++i)
      if (moved[i] != here_[i]) far_[i] = std::max({far_[i], std::abs(moved[i]), std::abs(here_[i])});
  }
  double operator()(const Difference& d) {
    double sum = 0, unmoved = 0;
    bool moves = false;
    for (std::size_t i = 0; i < here_.size(); ++i) {
      const bool still = d.above[i] == here_[i] && d.below[i] == here_[i];
      unmoved += epsilon * std::abs(here_[i]);
      if (still && far_[i] < 0) continue;
      moves = true;
      // A term that moves only under larger steps may have lost more than its own digits.
      const double size = still ? far_[i] : std::max({std::abs(d.above[i]), std::abs(d.below[i]), std::abs(here_[i])});
      if (!still) far_[i] = std::max(far_[i], std::abs(here_[i]));
      sum += std::max(
          {epsilon * size, least_digit, measured_.empty() ? 0.0 : 2 * measured_[i]});  // measured is a root mean square
    }
    return moves ? sum : unmoved;  // if nothing moves (a saturated network), any term may hide a dependence
  }

 private:
  const Values& here_;
  const Values& measured_;
  Values far_;  // the largest value seen; −1 for a term not seen to depend on the entry
};

/// The result of one step of the sweep.
struct Level {
  double h = 0, value = 0, noise = 0;
  double moved = 0;  // since the previous step
};
constexpr double safety = 4;

/// Picks the least uncertain level among those that agree with all below them; returns whether all do.
bool settle(const std::vector<Level>& levels, double scatter, Estimate& best) {
  double low = -infinity, high = infinity;
  best.uncertainty = infinity;
  for (const Level& level : levels) {
    const double uncertainty = safety * std::max(level.noise, scatter) / level.h + level.moved;
    if (level.value - uncertainty > high || level.value + uncertainty < low) return false;
    low = std::max(low, level.value - uncertainty);
    high = std::min(high, level.value + uncertainty);
    if (uncertainty <= best.uncertainty) best.value = level.value, best.uncertainty = uncertainty, best.step = level.h;
  }
  return true;
}

/// D(h) = S′ + c·h² + …, so (16·D(h) − D(4h))/15 cancels h²; term by term.
Values extrapolated(const Difference& near, const Difference& far) {
  Values by_term = near.by_term;
  if (far.usable())
    for (std::size_t i = 0; i < by_term.size(); ++i) by_term[i] += (near.by_term[i] - far.by_term[i]) / 15;
  return by_term;
}

double distance(const Values& a, const Values& b) {
  double sum = 0;
  for (std::size_t i = 0; i < a.size(); ++i) sum += std::abs(a[i] - b[i]);
  return sum;
}

}  // namespace

/// |S(h) + S(−h) − 2S(0)|, term by term: 0 where S is linear.
double Differencer::bend(const Difference& d) const {
  double sum = 0;
  for (std::size_t i = 0; i < here_.size(); ++i) sum += std::abs((d.above[i] - here_[i]) + (d.below[i] - here_[i]));
  return sum;
}

Estimate Differencer::estimate(const Line& line, const Values& term_noise,
                               const std::function<bool(const Estimate&)>& enough, double first_step) {
  constexpr int most_levels = 40, noisy_levels = 6;
  const double smallest = smallest_step(line);
  double scale = line.signs ? infinity : scales_.scale(line.index);
  if (line.signs)
    for (std::size_t i = 0; i < original_.size(); ++i) scale = std::min(scale, scales_.scale(i));
  double h = std::max(smallest, power_of_two(first_step > 0 ? first_step : std::max(scale, 1e-280) * 0x1p-29));
  Difference d = central(line, h);
  if (!d.usable()) {
    const double first = h;
    for (; !d.usable() && h > smallest; d = central(line, h)) h = std::max(smallest, h / 64);
    if (d.usable()) {
      scale = h;
      d = central(line, h = std::max(smallest, h * 0x1p-18));  // well away from the obstacle
    } else {
      h = first;
    }
  }

  Estimate best;
  best.uncertainty = infinity;
  const bool one_sided = !d.usable() && d.outside_above != d.outside_below, above = d.outside_below;
  if (one_sided) {
    d = this->one_sided(line, h, above);
    for (; !d.usable() && h > smallest; d = this->one_sided(line, h, above)) h = std::max(smallest, h / 64);
  }
  best.kink = d.kink;
  best.outside = !d.usable() && !d.kink;
  best.one_sided = one_sided;
  if (!d.usable()) return best;

  TermNoise noise_of(here_, term_noise);
  // Which terms depend on the entry at all shows far away.
  const double size = line.signs ? 0 : std::abs(original_[line.index]);
  for (const double far : {scale * 0x1p-14, scale * 0x1p-6, 2 * scale, 32 * scale, 2 * size, 2 * scales_.width()})
    for (const double sign : {1.0, -1.0})
      if (const Place place = at(line, sign * std::max(smallest, far)); place.exists) noise_of.look_far(place.terms);
  std::vector<Level> levels;
  double scatter = 0;
  Values before;
  for (int k = 0; k < most_levels; ++k, h *= 4) {
    const Difference next = one_sided ? this->one_sided(line, 4 * h, above) : central(line, 4 * h);
    const Values by_term = extrapolated(d, next);
    Level level;
    level.h = h;
    level.value = next.usable() ? d.value + (d.value - next.value) / 15 : d.value;
    level.noise = (one_sided ? 4 : 1) * noise_of(d);
    // Term by term: the curvature of one must not cancel that of another.
    level.moved = distance(by_term, before.empty() ? d.by_term : before);
    // At the smallest steps it is rounding that moves the value, however small the terms suggest it is.
    if (k < noisy_levels) scatter = std::max(scatter, level.moved * h / 4);
    levels.push_back(level);
    const double rounding = safety * std::max(level.noise, scatter) / h;
    if (4 * h > scale && (level.moved > 4 * rounding || bend(d) > 4 * rounding * h)) levels.pop_back();
    const bool goes_on = settle(levels, scatter, best) && levels.size() == static_cast<std::size_t>(k) + 1;
    if (!goes_on || !next.usable() || (enough && enough(best))) break;
    before = by_term;
    d = next;
  }
  return best;
}

}  // namespace handgrad::detail
