#include "handgrad/metrics/regression.hpp"

#include <algorithm>
#include <cmath>

namespace handgrad {
namespace {

double squared_errors(const Values& y_true, const Values& y_pred) {
  double sum = 0;
  for (std::size_t i = 0; i < y_true.size(); ++i) sum += (y_true[i] - y_pred[i]) * (y_true[i] - y_pred[i]);
  return sum;
}

}  // namespace

double mean_squared_error(const Values& y_true, const Values& y_pred) {
  check_metric_arguments("mean_squared_error", y_true, y_pred);
  return squared_errors(y_true, y_pred) / static_cast<double>(y_true.size());
}

double mean_absolute_error(const Values& y_true, const Values& y_pred) {
  check_metric_arguments("mean_absolute_error", y_true, y_pred);
  double sum = 0;
  for (std::size_t i = 0; i < y_true.size(); ++i) sum += std::abs(y_true[i] - y_pred[i]);
  return sum / static_cast<double>(y_true.size());
}

double r2_score(const Values& y_true, const Values& y_pred) {
  check_metric_arguments("r2_score", y_true, y_pred);
  if (y_true.size() < 2) throw ValueError("r2_score: at least 2 examples expected, got 1");
  double mean = 0, spread = 0;
  for (double y : y_true) mean += y;
  mean /= static_cast<double>(y_true.size());
  for (double y : y_true) spread += (y - mean) * (y - mean);
  const double errors = squared_errors(y_true, y_pred);
  const bool constant = std::all_of(y_true.begin(), y_true.end(), [&](double y) { return y == y_true[0]; });
  if (constant) return errors == 0 ? 1 : 0;
  return 1 - errors / spread;
}

}  // namespace handgrad
