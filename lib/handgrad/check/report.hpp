#pragma once
#include <iosfwd>
#include <string>
#include <vector>

#include "handgrad/base/tensor.hpp"
#include "handgrad/check/diagnosis.hpp"
#include "handgrad/contract/parameter.hpp"

namespace handgrad {

/// Pass: every entry that was compared agrees. Fail: one does not. Inconclusive: nothing disagrees, but too little was
/// compared to say more (zero gradients everywhere, kinks, digits lost).
enum class Verdict { Pass, Fail, Inconclusive };

/// One entry of a gradient: what the backward says and what differences of the forward say.
struct GradientEntry {
  std::size_t index = 0;  // in row-major order
  double analytic = 0, numeric = 0;
  /// |a − n| / (|a| + |n|), less what the differences cannot tell.
  double error = 0;
};

/// The step y = f(x; parameters) whose backward, given δ = dy, made a gradient. What of it is not known is undefined.
struct GradientStep {
  Tensor<double> x, y, dy;
  /// Of a loss: x is then the prediction, y the loss.
  Tensor<double> target;
  std::vector<NamedTensor<double>> parameters;
  /// The rows of the batch; 0 where there is none.
  std::size_t batch = 0;
  /// What went in and came out beside x and y: "h0", and "δ of h_n", the gradient of an output.
  std::vector<NamedTensor<double>> sides = {};
};

/// A mistake that only who made an exercise can know: what it makes of the gradient, and what to say then.
struct KnownMistake {
  Tensor<double> gradient;
  Cause cause = Cause::Other;
  std::string what, evidence, where;
};

/// What is tried out when a tensor fails, for the diagnosis.
struct GradientProbes {
  /// By differences: the gradient if δ were 1 everywhere.
  Tensor<double> numeric_of_ones;
  /// By differences: the gradient of a loss taken one row at a time, and of one that takes every prediction with every
  /// target; and its value, as it is and row by row.
  Tensor<double> numeric_by_rows, numeric_of_all_pairs;
  double value = 0, value_by_rows = 0;
  /// The value does not depend on which target belongs to which prediction.
  bool pairs_everything = false;
  /// What the backward gives when its buffers hold zeros beforehand and not NaN.
  Tensor<double> unpoisoned;
  /// It is the gradient at the x that went in first.
  bool of_first_x = false;
  /// The slopes to both sides of the worst entry, and whether they differ however close one gets.
  double slope_left = 0, slope_right = 0;
  bool kink = false;
};

/// The gradient with respect to one tensor: a parameter, by its name, or the input.
struct TensorReport {
  std::string name;
  /// `name` is the gradient's own ("dW"), not the tensor's.
  bool names_gradient = false;
  Shape shape;
  Verdict verdict = Verdict::Inconclusive;
  /// Why, where the numbers alone do not say it.
  std::string reason;
  /// Entries compared; entries left out because a kink lies between x−h and x+h; entries that differences cannot tell
  /// from zero or from their own rounding, which excuses them and certifies nothing.
  std::size_t checked = 0, skipped = 0, excused = 0;
  /// Entries left out because the forward throws or is not finite on both sides of them; those among the compared where
  /// it is so on one side.
  std::size_t outside = 0, one_sided = 0;
  /// The largest share of a compared entry that forward and backward lose in rounding, where it is above the tolerance:
  /// a smaller fault there cannot be seen.
  double resolution = 0;
  /// What the check saw of the backward besides its numbers: not repeatable, not linear in δ, …
  Diagnosis found = {};
  /// The worst entries, the worst first.
  std::vector<GradientEntry> worst;
  double worst_error() const { return worst.empty() ? 0 : worst.front().error; }
  /// A backward onto a gradient that held noise gave the noise plus the gradient.
  bool accumulates = true;
  /// A second backward after the same forward gave the same again.
  bool repeats = true;
  /// The whole gradients, for whoever wants to look further. `numeric` has NaN where nothing was compared.
  Tensor<double> analytic, numeric;
  /// What `numeric` is uncertain by, where that was estimated.
  Tensor<double> uncertainty;
  /// The tensor itself, and, where something fails, what its gradient is made of.
  Tensor<double> value;
  GradientStep step;
  GradientProbes probes;
  std::vector<KnownMistake> mistakes;
};

/// What `check_gradients` found. Prints as a table; converts to true when everything passed.
struct GradientReport {
  std::string subject;
  double tolerance = 0;
  /// In the order in which the backward makes them: the first that fails is nearest to the fault.
  std::vector<TensorReport> tensors;
  /// When a network fails: its loss and its layers, each checked on its own, from the last to the first.
  std::vector<GradientReport> parts;
  /// What else is to be said: that the input has no gradient.
  std::string note = {};

  Verdict verdict() const;
  bool passed() const { return verdict() == Verdict::Pass; }
  explicit operator bool() const { return passed(); }
  /// The first tensor that fails, or null.
  const TensorReport* first_failure() const;
  /// The tensor of that name. Throws ValueError.
  const TensorReport& operator[](const std::string& name) const;
  /// What is wrong, as far as can be told (diagnosis.hpp).
  Diagnosis diagnose() const;
};

std::ostream& operator<<(std::ostream& out, Verdict verdict);
std::ostream& operator<<(std::ostream& out, const GradientReport& report);

}  // namespace handgrad
