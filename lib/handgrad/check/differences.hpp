#pragma once
// Inside check/: derivatives by differences, and the comparison of one gradient with them.
#include <functional>
#include <string>
#include <utility>
#include <vector>

#include "handgrad/check/gradcheck.hpp"

namespace handgrad::detail {

using Values = std::vector<double>;

/// One tensor to differentiate by, and its gradient as the backward computed it.
struct Variable {
  std::string name;
  Tensor<double> value;  // shares its elements with whatever `terms` evaluates
  Values analytic;
  /// What is differenced: a scalar S, as the terms that add up to it, with the sides of all kinks on which the forward
  /// ran. (Terms are subtracted one by one before they are added up: those that do not depend on an entry cancel.)
  std::function<Values(std::vector<bool>& sides)> terms;
  bool accumulates = true, repeats = true;
  /// What the backward gives onto zeros; only where its result onto NaN is not finite.
  Values unpoisoned = {};
};

/// Compares, and judges.
TensorReport check_variable(const Variable& variable, const GradcheckOptions& options, double tolerance);

/// ∂S/∂v by differences alone, NaN where a kink is in the way.
Tensor<double> numeric_gradient(const Variable& variable, double step);

/// The slopes of S to the left and to the right of an entry.
std::pair<double, double> one_sided_slopes(const Variable& variable, std::size_t index, double h);

}  // namespace handgrad::detail
