#pragma once
// Inside check/: one failing tensor, and what the guards and the catalogue ask about it.
#include <algorithm>
#include <cmath>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "handgrad/base/format.hpp"
#include "handgrad/check/model.hpp"
#include "handgrad/check/report.hpp"

namespace handgrad::detail {

bool finite(const Tensor<double>& tensor);
bool zero(const std::vector<double>& elements);

/// The worst relative error of a repaired gradient against the differences, leaving out entries within the tensor's
/// rounding or the differences' uncertainty. Empty if the two cannot be compared.
std::optional<double> error_of(const Grid& repaired, const Grid& numeric, const Grid& uncertainty = {});

/// Faults that are not a formula's; they come first, and then no formula is blamed.
std::optional<Diagnosis> not_a_formula(const GradientReport& report, const TensorReport& tensor);
/// The cause whose repair makes the gradient pass, if exactly one does.
Diagnosis from_catalogue(const GradientReport& report, const TensorReport& tensor);

class Failure {
 public:
  Failure(const GradientReport& report, const TensorReport& tensor)
      : report_(report),
        t_(tensor),
        step_(tensor.step),
        a_(tensor.analytic),
        n_(tensor.numeric),
        u_(tensor.uncertainty) {
    tolerance_ = std::max(report.tolerance, 1e-7);
    subject_ = t_.names_gradient ? t_.name : "gradient of " + t_.name;
    place_ = report.subject + (report.tensors.size() > 1 || t_.names_gradient ? ": " + t_.name : "");
  }

 protected:
  bool is_input() const {
    return step_.x.defined() && t_.value.shape() == step_.x.shape() && t_.value.to_vector() == step_.x.to_vector();
  }
  /// Whether the right gradient is the sum of the rows of the upstream gradient.
  bool is_bias() const {
    if (t_.shape.rank() > 1 || is_input()) return false;
    if (step_.dy.defined() && error(column_sums(rows_like(Grid(step_.dy))))) return true;
    for (std::size_t i = 0; i < chain_.size(); ++i)
      if (role_in(chain_[i], i) == Role::Bias) return true;
    return false;
  }
  /// A neuron's δ (N) counts as one row per example.
  Grid rows_like(Grid g) const {
    if (g.rows == 1 && n_.elements.size() == 1) std::swap(g.rows, g.columns);
    return g;
  }
  /// Whether another gradient is wrong by the same constant.
  bool others_too(double c) const {
    return std::any_of(report_.tensors.begin(), report_.tensors.end(), [&](const TensorReport& other) {
      if (&other == &t_ || other.analytic.numel() != other.numeric.numel()) return false;
      const std::optional<double> e = error_of(multiplied(Grid(other.analytic), 1 / c), Grid(other.numeric));
      return e && *e <= tolerance_;
    });
  }
  std::optional<Role> role_in(const Stage& stage, std::size_t index) const {
    const std::vector<double> value = t_.value.to_vector();
    const auto is = [&](const Grid& grid) { return !grid.empty() && grid.elements == value; };
    if (index == 0 && is_input()) return Role::Input;
    if (is(stage.weight_is_transposed ? transposed(stage.W) : stage.W)) return Role::Weight;
    if (is(stage.b)) return Role::Bias;
    return {};
  }
  static double largest(const Grid& g) {
    double top = 0;
    for (double v : g.elements) top = std::isnan(v) ? top : std::max(top, std::abs(v));
    return top;
  }

  /// The error of a repaired gradient if it passes.
  std::optional<double> error(const Grid& repaired) const {
    const std::optional<double> e = error_of(repaired, n_, u_);
    return e && *e <= tolerance_ ? e : std::nullopt;
  }
  /// The error relative to the largest entry, as text.
  std::string error_text(const Grid& repaired) const {
    double worst = 0;
    for (std::size_t i = 0; i < n_.elements.size(); ++i)
      if (!std::isnan(n_.elements[i])) worst = std::max(worst, std::abs(repaired.elements[i] - n_.elements[i]));
    return formatted("error %.0e", worst / largest(n_));
  }
  /// Whether two computed gradients agree within the accuracy of this check.
  bool equal(const Grid& left, const Grid& right) const {
    const std::optional<double> e = error_of(left, right);
    return e && *e <= tolerance_;
  }

  static Grid multiplied(Grid g, double factor) {
    for (double& v : g.elements) v *= factor;
    return g;
  }

  const GradientReport& report_;
  const TensorReport& t_;
  const GradientStep& step_;
  Grid a_, n_, u_;  // the computed gradient, the numeric one, and its uncertainty
  double tolerance_;
  std::string subject_, place_;
  std::vector<Stage> chain_;
};

}  // namespace handgrad::detail
