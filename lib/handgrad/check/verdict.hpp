#pragma once
// Inside check/: one gradient beside the differences, and the verdict.
#include <string>

#include "handgrad/check/gradcheck.hpp"
#include "handgrad/check/noise.hpp"

namespace handgrad::detail {

/// One tensor to differentiate by, and its gradient as the backward computed it.
struct Variable {
  std::string name;
  Tensor<double> value;  // shares its elements with whatever `terms` evaluates
  Values analytic;
  Terms terms;
  bool accumulates = true, repeats = true;
  /// What the backward gives onto zeros; only where its result onto NaN is not finite.
  Values unpoisoned = {};
  /// What was seen of the backward besides its numbers (not linear in δ, say).
  Diagnosis found = {};
  /// The gradient that the backward computes where the tensors are now.
  std::function<Values()> again = {};
  /// What goes into the forward, x or a prediction, shared likewise; undefined where that cannot be moved.
  Tensor<double> input = {};
  /// Measured when first asked for; this gradient's is the one at `place`, if there is one.
  std::function<const Noise&()> noise = {};
  std::size_t place = 0;
  /// The largest entry of all the step's gradients: where the noise is not known, its last digits stand for it.
  double largest = 0;
  /// Of a tensor larger than that, this many entries are compared.
  std::size_t samples = 0;
};

/// Compares, and judges.
TensorReport check_variable(const Variable& variable, const GradcheckOptions& options, double tolerance);

}  // namespace handgrad::detail
