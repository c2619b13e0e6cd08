#pragma once
#include <iosfwd>
#include <string>
#include <vector>

#include "handgrad/base/tensor.hpp"
#include "handgrad/check/diagnosis.hpp"
#include "handgrad/contract/parameter.hpp"

namespace handgrad {

/// Pass: every compared entry agrees. Fail: one does not. Inconclusive: none disagrees, but too little could be
/// compared (zero gradients everywhere, kinks, digits lost).
enum class Verdict { Pass, Fail, Inconclusive };

/// One entry of a gradient, by the backward and by differences of the forward.
struct GradientEntry {
  std::size_t index = 0;  // in row-major order
  double analytic = 0, numeric = 0;
  /// |a − n| / (|a| + |n|), less the differences' uncertainty.
  double error = 0;
};

/// The step y = f(x; parameters) whose backward, given δ = dy, computed a gradient. Unknown tensors are undefined.
struct GradientStep {
  Tensor<double> x, y, dy;
  /// For a loss: x is the prediction, y the loss.
  Tensor<double> target;
  std::vector<NamedTensor<double>> parameters;
  /// The rows of the batch; 0 if there is none.
  std::size_t batch = 0;
  /// Inputs and outputs beside x and y: "h0", and "δ of h_n", the gradient of an output.
  std::vector<NamedTensor<double>> sides = {};
};

/// A mistake specific to an exercise: the gradient it gives, and the message for it.
struct KnownMistake {
  Tensor<double> gradient;
  Cause cause = Cause::Other;
  std::string what, evidence, where;
};

/// Experiments on a failing tensor, for the diagnosis.
struct GradientProbes {
  /// By differences: the gradient with δ = 1 everywhere.
  Tensor<double> numeric_of_ones;
  /// By differences: the gradient of a loss taken row by row, and of one that pairs every prediction with every target;
  /// and the loss itself, as it is and row by row.
  Tensor<double> numeric_by_rows, numeric_of_all_pairs;
  double value = 0, value_by_rows = 0;
  /// The loss does not depend on which target belongs to which prediction.
  bool pairs_everything = false;
  /// The result of the backward with buffers filled with zeros instead of NaN.
  Tensor<double> unpoisoned;
  /// The gradient is right only at the x (and perhaps the parameters) of the first forward.
  bool of_first_x = false;
  /// The left and right slopes at the worst entry, and whether they differ at every distance.
  double slope_left = 0, slope_right = 0;
  bool kink = false;
};

/// The gradient with respect to one tensor, a named parameter or the input.
struct TensorReport {
  std::string name;
  /// `name` is the gradient's own ("dW"), not the tensor's.
  bool names_gradient = false;
  Shape shape;
  Verdict verdict = Verdict::Inconclusive;
  /// The reason, if the numbers do not show it.
  std::string reason;
  /// Entries compared; skipped because a kink lies between x−h and x+h; and excused, since differences cannot tell them
  /// from zero or from rounding (which certifies nothing).
  std::size_t checked = 0, skipped = 0, excused = 0;
  /// Entries skipped because the forward throws or is not finite on both sides; and those compared on one side only.
  std::size_t outside = 0, one_sided = 0;
  /// The largest share of a compared entry lost to rounding in forward and backward, if above the tolerance: smaller
  /// faults cannot be seen there.
  double resolution = 0;
  /// Faults of the backward beside its numbers: not repeatable, not linear in δ, …
  Diagnosis found = {};
  /// The worst entries, worst first.
  std::vector<GradientEntry> worst;
  double worst_error() const { return worst.empty() ? 0 : worst.front().error; }
  /// A backward onto a gradient that held noise gave noise plus gradient.
  bool accumulates = true;
  /// A second backward after the same forward gave the same result.
  bool repeats = true;
  /// The whole gradients; `numeric` is NaN where nothing was compared.
  Tensor<double> analytic, numeric;
  /// The uncertainty of `numeric`, where estimated.
  Tensor<double> uncertainty;
  /// The tensor itself and, after a failure, the step that its gradient comes from.
  Tensor<double> value;
  GradientStep step;
  GradientProbes probes;
  std::vector<KnownMistake> mistakes;
};

/// What `check_gradients` found. Prints as a table; converts to true when everything passed.
struct GradientReport {
  std::string subject;
  double tolerance = 0;
  /// In backward order: the first that fails is nearest to the fault.
  std::vector<TensorReport> tensors;
  /// When a network fails: its loss and its layers, checked one by one from last to first.
  std::vector<GradientReport> parts;
  /// A further remark: that the input has no gradient.
  std::string note = {};

  /// The worst of the tensors' verdicts.
  Verdict verdict() const;
  bool passed() const { return verdict() == Verdict::Pass; }
  explicit operator bool() const { return passed(); }
  /// The first tensor that fails, or null.
  const TensorReport* first_failure() const;
  /// The tensor of that name. Throws ValueError if there is none.
  const TensorReport& operator[](const std::string& name) const;
  /// The cause of the failure, as far as it can be told (diagnosis.hpp).
  Diagnosis diagnose() const;
};

std::ostream& operator<<(std::ostream& out, Verdict verdict);
std::ostream& operator<<(std::ostream& out, const GradientReport& report);

}  // namespace handgrad
