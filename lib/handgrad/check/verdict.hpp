#pragma once
// Inside check/: compares a gradient with differences and gives the verdict.
#include <string>

#include "handgrad/check/gradcheck.hpp"
#include "handgrad/check/noise.hpp"

namespace handgrad::detail {

/// A tensor to differentiate by, and its gradient from the backward.
struct Variable {
  std::string name;
  Tensor<double> value;  // shares its elements with whatever `terms` evaluates
  Values analytic;
  Terms terms;
  bool accumulates = true, repeats = true;
  /// The backward's result onto zeros; set only if its result onto NaN is not finite.
  Values unpoisoned = {};
  /// Faults of the backward beside its numbers (not linear in δ, say).
  Diagnosis found = {};
  /// Recomputes the gradient at the tensors' current values.
  std::function<Values()> again = {};
  /// The forward's input, x or a prediction, with shared elements; undefined if it cannot be moved.
  Tensor<double> input = {};
  /// The noise, measured on first use; this gradient's is at `place`, if any.
  std::function<const Noise&()> noise = {};
  std::size_t place = 0;
  /// The largest entry of all the step's gradients; its last digits stand in for unknown noise.
  double largest = 0;
  /// The number of entries compared in a larger tensor.
  std::size_t samples = 0;
  /// The size of what cancels in a backward, largest |δ| times largest |x|; 0 where it is not known.
  double cancels = 0;
};

TensorReport check_variable(const Variable& variable, const GradcheckOptions& options, double tolerance);

}  // namespace handgrad::detail
