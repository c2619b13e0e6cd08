#pragma once
#include <iosfwd>
#include <string>
#include <vector>

#include "handgrad/tensor.hpp"

namespace handgrad {

/// Pass: every entry that was compared agrees. Fail: one does not. Inconclusive: nothing disagrees, but too little was
/// compared to say more (zero gradients everywhere, kinks, digits lost).
enum class Verdict { Pass, Fail, Inconclusive };

/// One entry of a gradient: what the backward says and what differences of the forward say.
struct GradientEntry {
  std::size_t index = 0;  // in row-major order
  double analytic = 0, numeric = 0;
  /// |a − n| / max(1e-8, |a| + |n|)
  double error = 0;
};

/// The gradient with respect to one tensor: a parameter, by its name, or the input.
struct TensorReport {
  std::string name;
  Shape shape;
  Verdict verdict = Verdict::Inconclusive;
  /// Why, where the numbers alone do not say it.
  std::string reason;
  /// Entries compared; entries left out because a kink lies between x−h and x+h; entries that differences cannot tell
  /// from zero or from their own rounding, which excuses them and certifies nothing.
  std::size_t checked = 0, skipped = 0, excused = 0;
  /// The worst entries, the worst first.
  std::vector<GradientEntry> worst;
  double worst_error() const { return worst.empty() ? 0 : worst.front().error; }
  /// A backward onto a gradient that held noise gave the noise plus the gradient.
  bool accumulates = true;
  /// A second backward after the same forward gave the same again.
  bool repeats = true;
  /// The whole gradients, for whoever wants to look further. `numeric` has NaN where nothing was compared.
  Tensor<double> analytic, numeric;
};

/// What `check_gradients` found. Prints as a table; converts to true when everything passed.
struct GradientReport {
  std::string subject;
  double tolerance = 0;
  /// In the order in which the backward makes them: the first that fails is nearest to the fault.
  std::vector<TensorReport> tensors;

  Verdict verdict() const;
  bool passed() const { return verdict() == Verdict::Pass; }
  explicit operator bool() const { return passed(); }
  /// The first tensor that fails, or null.
  const TensorReport* first_failure() const;
  /// The tensor of that name. Throws ValueError.
  const TensorReport& operator[](const std::string& name) const;
};

std::ostream& operator<<(std::ostream& out, Verdict verdict);
std::ostream& operator<<(std::ostream& out, const GradientReport& report);

}  // namespace handgrad
