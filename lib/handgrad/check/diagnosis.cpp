#include "handgrad/check/diagnosis.hpp"

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <optional>
#include <ostream>
#include <utility>
#include <vector>

#include "handgrad/check/model.hpp"
#include "handgrad/check/report.hpp"

namespace handgrad {

namespace {

using detail::Grid;
using detail::Role;
using detail::Stage;

template <class... A>
std::string formatted(const char* format, A... values) {
  char text[200];
  std::snprintf(text, sizeof text, format, values...);
  return text;
}

bool finite(const Tensor<double>& tensor) {
  const std::vector<double> elements = tensor.to_vector();
  return std::all_of(elements.begin(), elements.end(), [](double v) { return std::isfinite(v); });
}

bool zero(const std::vector<double>& elements) {
  return std::all_of(elements.begin(), elements.end(), [](double v) { return v == 0 || std::isnan(v); });
}

/// How far a repaired gradient is from the differences: the worst relative error, leaving out what lies within the
/// rounding of the whole tensor. Nothing where they cannot be compared.
std::optional<double> error_of(const Grid& repaired, const Grid& numeric) {
  if (repaired.elements.size() != numeric.elements.size()) return {};
  double scale = 0, worst = 0;
  for (double n : numeric.elements)
    if (!std::isnan(n)) scale = std::max(scale, std::abs(n));
  std::size_t compared = 0;
  for (std::size_t i = 0; i < numeric.elements.size(); ++i) {
    const double r = repaired.elements[i], n = numeric.elements[i];
    if (std::isnan(n)) continue;
    if (!std::isfinite(r)) return {};
    ++compared;
    if (std::abs(r - n) > 1e-9 * scale) worst = std::max(worst, std::abs(r - n) / (std::abs(r) + std::abs(n)));
  }
  if (compared == 0 || scale == 0) return {};
  return worst;
}

/// One failing tensor, and everything that may be the matter with it.
class Case {
 public:
  Case(const GradientReport& report, const TensorReport& tensor)
      : report_(report), t_(tensor), step_(tensor.step), a_(tensor.analytic), n_(tensor.numeric) {
    tolerance_ = std::max(report.tolerance, 1e-7);
    subject_ = t_.names_gradient ? t_.name : "gradient of " + t_.name;
    place_ = report.subject + (report.tensors.size() > 1 || t_.names_gradient ? ": " + t_.name : "");
  }

  Diagnosis diagnose() {
    if (not_a_formula()) return result_;
    chain_ = detail::recognise(step_);
    constants();
    transposition();
    unsummed();
    model();
    upstream();
    dropout();
    pairing();
    extra_derivative();
    logits();
    weight_decay();
    for (const KnownMistake& mistake : t_.mistakes)
      same_as(Grid(mistake.gradient), mistake.cause, mistake.what, mistake.evidence, mistake.where);
    return choose();
  }

 private:
  // What may be wrong before any formula is ------------------------------------------------------------------------

  bool say(Cause cause, const std::string& what, const std::string& evidence, const std::string& where) {
    result_ = {cause, place_, what, evidence, where};
    return true;
  }

  bool not_a_formula() {
    for (const auto& [name, tensor] : {std::pair<const char*, const Tensor<double>&>{"the input", step_.x},
                                       {"the output", step_.y},
                                       {"the δ from above", step_.dy}})
      if (tensor.defined() && !finite(tensor))
        return say(Cause::NonFinite, std::string(name) + " holds NaN or ∞, so no gradient can be right",
                   "it is the first tensor that does", non_finite_advice(name));
    for (const auto& [name, tensor] : step_.parameters)
      if (!finite(tensor))
        return say(Cause::NonFinite, name + " holds NaN or ∞, so no gradient can be right",
                   "it is the first tensor that does", "how it is initialised, or a step that was too large");
    if (!(a_.elements.size() == n_.elements.size()) || !(t_.analytic.shape() == t_.shape)) return wrong_shape();
    if (!finite(t_.analytic)) return not_written();
    const std::size_t compared = static_cast<std::size_t>(
        std::count_if(n_.elements.begin(), n_.elements.end(), [](double n) { return !std::isnan(n); }));
    if (t_.probes.kink)
      return say(
          Cause::Kink, "the worst entry lies on a kink of the forward, where there is no derivative",
          formatted("the slope is %.6g to its left and %.6g to its right", t_.probes.slope_left, t_.probes.slope_right),
          "check at another x, or say in the layer's kink_sides where the kinks are");
    if (zero(n_.elements) && compared > 0)
      return say(Cause::ZeroGradient, "the output does not depend on this tensor: saturated or dead units, or a step",
                 "every difference of the forward is 0, the backward says otherwise", "the values that go in");
    if (zero(a_.elements))
      return say(Cause::ZeroGradient, "the " + subject_ + " is zero everywhere",
                 formatted("it should go up to %.3g", largest(n_)), "is it computed at all?");
    if (compared == 0 || (compared < 3 && n_.elements.size() >= 10))
      return say(Cause::TooFew, "too few entries could be compared to say what is wrong",
                 formatted("%zu of %zu", compared, n_.elements.size()), "another x, away from the kinks");
    if (!t_.accumulates && error(a_))
      return say(Cause::Overwritten, "the " + subject_ + " is overwritten where it must be added to",
                 "onto an earlier gradient it gives the new one alone; onto nothing it is right, " + error_text(a_),
                 "= for +=: what several uses of a parameter give adds up, until zero_grad()");
    if (!t_.repeats && error(a_))
      return say(Cause::CacheDestroyed, "the backward changes what the forward saved",
                 "after one forward the first backward is right, " + error_text(a_) + ", the second is not",
                 "x, y and what the layer caches are read, never written, in a backward");
    return false;
  }

  std::string non_finite_advice(const std::string& name) const {
    if (name == "the output" && step_.target.defined())
      return "a loss on probabilities overflows at 0 and 1; take the loss on the logits";
    return name == "the output" ? "the forward: exp of a large number, a division by 0, a logarithm of 0"
                                : "where it comes from";
  }

  bool wrong_shape() {
    const std::string came = "it has shape " + t_.analytic.shape().str() + ", the tensor " + t_.shape.str();
    const Grid n = n_;
    if (a_.rows == n.columns && a_.columns == n.rows && a_.rows != a_.columns && error(detail::transposed(a_)))
      return say(Cause::Transposed, "the " + subject_ + " is transposed",
                 came + "; its transpose has " + error_text(detail::transposed(a_)), "the order of the product");
    if (a_.columns == n.elements.size() && a_.rows > 1 && error(detail::column_sums(a_)))
      return say(Cause::BiasNotSummed, "the " + subject_ + " is not summed over the batch",
                 came + "; its sum over the rows has " + error_text(detail::column_sums(a_)),
                 "the sum over n is missing");
    return say(Cause::Shape, "the " + subject_ + " has another shape than the tensor itself", came,
               "a gradient has one entry for each entry of what it is the gradient of");
  }

  bool not_written() {
    const std::vector<double> u = t_.probes.unpoisoned.to_vector();
    std::size_t bad = 0, untouched = 0;
    bool still = u.empty();
    for (std::size_t i = 0; i < u.size(); ++i) {
      still = still || !std::isfinite(u[i]);
      if (std::isfinite(a_.elements[i])) continue;
      ++bad;
      untouched += u[i] == 0;
    }
    const std::string count = formatted("%zu of %zu entries", bad, a_.elements.size());
    if (still)
      return say(Cause::NonFinite, "NaN or ∞ comes out of finite tensors", "the " + subject_ + " holds them",
                 "a division by 0, 0·∞, exp of a large number, a logarithm of 0");
    if (untouched == bad)
      return say(Cause::NotWritten, "the backward never writes " + count + " of the " + subject_,
                 "filled with NaN beforehand, they are NaN afterwards", "the bounds of its loops");
    Grid clean = a_;
    clean.elements = u;
    return say(Cause::NotZeroed, "the " + subject_ + " is added to what was there, where it must start anew",
               "buffers filled with NaN beforehand give NaN; filled with zeros" +
                   (error(clean) ? " they give " + error_text(clean) : std::string(" they do not")),
               t_.name == "input" ? "dx is overwritten, never added to"
                                  : "Parameter::accumulate() gives β = 0 after zero_grad(): grad = β·grad + dW");
  }

  // The catalogue --------------------------------------------------------------------------------------------------

  void constants() {
    const double N = static_cast<double>(step_.batch), M = static_cast<double>(step_.x.numel());
    const bool is_loss = step_.target.defined();
    const std::string loss_place = is_loss ? "the loss is a mean, so its gradient carries the same 1/N"
                                           : "who divides by N: the loss alone; everything below sums";
    scaled(-1, Cause::Sign, "the sign of the " + subject_ + " is wrong", "the order of a difference, p − y");
    scaled(2, Cause::Factor, "the " + subject_ + " is twice what it should be",
           "a factor 2 too much, or a ½ forgotten");
    scaled(0.5, Cause::Factor, "the " + subject_ + " is half of what it should be",
           "(u²)′ = 2u·u′: a 2 was lost, or a ½ is too much");
    std::vector<std::pair<double, std::string>> counts{{N, "rows of the batch"}};
    if (is_loss && M != N) counts.push_back({M, "elements"}), counts.push_back({M / N, "columns"});
    for (const auto& [count, of] : counts) {
      if (count < 2) continue;
      const std::string number = formatted("%.0f, the number of ", count) + of;
      scaled(count, Cause::NotAveraged, "the " + subject_ + " is not averaged: it is too large by " + number,
             loss_place);
      if (is_bias() && !others_too(1 / count))
        scaled(1 / count, Cause::BiasAveraged, "the " + subject_ + " is averaged over the batch, the weight's is not",
               "db = Σₙ δₙ: a sum; δ has its 1/N from the loss already");
      else
        scaled(1 / count, Cause::AveragedTwice,
               "the " + subject_ + " is divided once more by " + number + (is_loss ? "" : "; the loss has done that"),
               "divide by N in one place, the loss");
    }
  }

  void transposition() {
    if (a_.rows < 2 || a_.columns < 2) return;
    Grid t(a_.rows, a_.columns);  // the elements as those of the transpose
    for (std::size_t i = 0; i < a_.rows; ++i)
      for (std::size_t j = 0; j < a_.columns; ++j) t(i, j) = a_.elements[j * a_.rows + i];
    consider(t, Cause::Transposed, "the " + subject_ + " is transposed", "taking its transpose gives",
             "the order of the product: dW = δᵀ·x (out×in)");
  }

  /// Bias gradients that arrive as (N × out) are caught by their shape; here it is one row of δ.
  void unsummed() {
    if (!step_.dy.defined() || step_.batch < 2) return;
    unsummed(Grid(step_.dy));
  }
  void unsummed(const Grid& delta) {
    const Grid g = rows_like(delta);
    if (g.columns != n_.elements.size() || g.rows < 2) return;
    const Grid sum = detail::column_sums(g);
    if (!error(sum)) return;
    for (std::size_t i = 0; i < g.rows; ++i) {
      Grid row(1, g.columns);
      for (std::size_t j = 0; j < g.columns; ++j) row(0, j) = g(i, j);
      if (equal(row, a_))
        find(Cause::BiasNotSummed, "the " + subject_ + " is not summed over the batch",
             formatted("it is row %zu of δ alone; the sum of all %zu rows has ", i, g.rows) + error_text(sum),
             "db = Σₙ δₙ: += in the loop over n");
    }
  }

  void model() {
    for (std::size_t i = 0; i < chain_.size(); ++i) {
      const Stage& stage = chain_[i];
      const auto role = role_in(stage, i);
      if (!role) continue;
      const Grid g = stage.function->backward(stage.z, stage.y, stage.delta);
      const Grid right = detail::assemble(stage, *role, g);
      if (!error(right)) continue;  // not what this stage is
      const bool plain = !stage.dense();
      for (const detail::Guess& guess : detail::wrong_guesses(stage)) {
        if (!equal(detail::assemble(stage, *role, guess.g), a_)) continue;
        const bool multiply = plain && guess.cause == Cause::DerivativeMissing && stage.function->elementwise;
        find(guess.cause, guess.what,
             multiply
                 ? "multiplying your " + subject_ + " by " + stage.function->derivative + " gives " + error_text(right)
                 : guess.formula + " one gets your " + subject_ + "; with δ∘φ′(z) as it should be it has " +
                       error_text(right),
             "dz = δ ∘ φ′(z), where y = " + stage.function->name + "(z)" +
                 (guess.cause == Cause::DerivativeMissing ? "" : "; φ′ = " + stage.function->derivative));
      }
      if (*role == Role::Bias) unsummed(g);
      const auto through_transpose = [&](const Stage& above, const Grid& g_above) {
        return above.W.rows == above.W.columns ? detail::product(g_above, detail::transposed(above.W)) : Grid();
      };
      const std::string w = "rebuilt with W in the place of Wᵀ, ";
      if (*role == Role::Input && stage.dense()) {
        if (const Grid wrong = through_transpose(stage, g); !wrong.empty() && equal(wrong, a_))
          find(Cause::Transposed, "the weight in the " + subject_ + " is transposed",
               "δ·Wᵀ is what you have; δ·W has " + error_text(right), "y = x·Wᵀ + b, so dx = δ·W");
      } else if (i + 1 < chain_.size()) {
        const Stage& above = chain_[i + 1];
        const Grid wrong = through_transpose(above, above.function->backward(above.z, above.y, above.delta));
        if (!wrong.empty() &&
            equal(detail::assemble(stage, *role, stage.function->backward(stage.z, stage.y, wrong)), a_))
          find(Cause::Transposed, "the weight through which δ comes down is transposed",
               "with δ·Wᵀ one gets your " + subject_ + "; with δ·W it has " + error_text(right),
               "y = x·Wᵀ + b, so dx = δ·W");
      }
    }
  }

  /// Any layer at all: the backward is linear in δ, so what it gives when it ignores δ are the differences of Σy.
  void upstream() {
    if (!t_.probes.numeric_of_ones.defined() || !step_.dy.defined()) return;
    const Grid ones(t_.probes.numeric_of_ones), dy(step_.dy);
    if (equal(ones, a_))
      find(Cause::UpstreamIgnored, "the δ that comes from above is ignored",
           "with δ = 1 everywhere the " + subject_ + " would be right",
           "dx = δ ∘ …: every term of a backward has δ in it");
    if (ones.elements.size() != dy.elements.size() || !is_input() || drops()) return;
    Grid product = ones;
    for (std::size_t i = 0; i < dy.elements.size(); ++i) product.elements[i] *= dy.elements[i];
    if (error(product) && equal(dy, a_))
      find(Cause::DerivativeMissing, "the derivative of the activation is missing",
           "multiplying your " + subject_ + " by φ′, taken from differences, gives " + error_text(product),
           "dz = δ ∘ φ′(z)");
  }

  /// y = s∘x with s = 0 or k, and not by the sign of x: what a dropout with its mask does.
  struct Drop {
    Grid s;
    double k = 0;
  };
  std::optional<Drop> drops() const {
    const Grid x(step_.x), y(step_.y);
    if (x.elements.size() != y.elements.size() || x.empty() || !is_input()) return {};
    Drop drop{x, 0};
    bool by_sign = true;
    std::size_t zeros = 0;
    for (std::size_t i = 0; i < x.elements.size(); ++i) {
      const double s = drop.s.elements[i] = x.elements[i] == 0 ? 0 : y.elements[i] / x.elements[i];
      zeros += s == 0;
      by_sign = by_sign && (s == 0) == (x.elements[i] <= 0);
      if (s == 0) continue;
      if (drop.k != 0 && std::abs(s - drop.k) > 1e-10 * drop.k) return {};
      drop.k = s;
    }
    if (drop.k <= 0 || zeros == 0 || by_sign) return {};
    return drop;
  }

  void dropout() {
    const std::optional<Drop> drop = drops();
    if (!drop || !step_.dy.defined()) return;
    const Grid dy(step_.dy), right = detail::times(dy, drop->s);
    if (!error(right)) return;
    Grid mask = drop->s, scale = dy;
    for (double& s : mask.elements) s = s != 0;
    for (double& d : scale.elements) d *= drop->k;
    const std::string where = "y = x∘mask/keep, so dx = δ∘mask/keep, with the mask of the forward";
    const std::string repaired =
        formatted("multiplying your %s by mask/keep (keep = %.3g) gives ", subject_.c_str(), 1 / drop->k);
    if (equal(dy, a_)) find(Cause::DropoutMask, "the dropout mask is missing", repaired + error_text(right), where);
    if (equal(scale, a_))
      find(Cause::DropoutMask, "the dropout mask is missing, only its 1/keep is there",
           "multiplying your " + subject_ + " by the mask gives " + error_text(right), where);
    if (drop->k != 1 && equal(detail::times(dy, mask), a_))
      find(Cause::DropoutMask, "the factor 1/keep of the dropout is missing",
           formatted("multiplying your %s by %.4g gives ", subject_.c_str(), drop->k) + error_text(right), where);
  }

  /// In a loss: (N) against (N, 1), which broadcasting makes N×N.
  void pairing() {
    const GradientProbes& p = t_.probes;
    if (p.numeric_by_rows.defined()) {
      const Grid by_rows(p.numeric_by_rows), all_pairs(p.numeric_of_all_pairs);
      const std::string where = "shapes (N) and (N, 1) broadcast to (N, N): give both the same shape";
      if (p.pairs_everything || (step_.target.numel() == step_.x.numel() && equal(by_rows, a_) && !error(by_rows) &&
                                 !(step_.target.shape() == step_.x.shape())))
        find(Cause::Pairing, "the loss takes every prediction with every target: the forward is wrong first",
             formatted("its value is %.6g; row by row it is %.6g", p.value, p.value_by_rows), where);
      else if (equal(all_pairs, a_) && !error(all_pairs))
        find(Cause::Pairing, "the " + subject_ + " takes every prediction with every target",
             "it is the gradient of the loss over all N×N pairs", where);
    }
  }

  /// In a loss: the derivative of the activation before it, which δ = p − y has in it already.
  void extra_derivative() {
    const Grid x(step_.x);
    if (!step_.target.defined() || x.elements.size() != n_.elements.size()) return;
    const std::string where = "∂L/∂z = p − y for the logits z has the activation's derivative in it, ∂L/∂p has not";
    for (const detail::Function& f : detail::functions()) {
      if (f.name != "σ" && f.name != "softmax" && f.name != "tanh") continue;
      const Grid p = f.value(x);
      const auto extra = [&](const Grid& wrong, const std::string& what) {
        if (equal(wrong, a_))
          find(Cause::ExtraDerivative, what, "dividing the " + f.name + "'s derivative out gives " + error_text(n_),
               where);
      };
      extra(f.backward(x, p, n_), "the derivative of " + f.name + " is on top of δ, which has it already");
      extra(f.backward(x, x, n_),
            "δ has the derivative of " + f.name + " in it, and " + f.name + "'s own backward multiplies again");
      if (!f.elementwise) {  // of the Jacobian the diagonal alone
        Grid diagonal = n_;
        for (std::size_t i = 0; i < p.elements.size(); ++i) diagonal.elements[i] *= p.elements[i] * (1 - p.elements[i]);
        extra(diagonal, "p(1−p) is on top of δ = p − y, which has the derivative of " + f.name + " already");
      }
    }
  }

  /// In a loss on logits: z − y for φ(z) − y.
  void logits() {
    const Grid x(step_.x), y(step_.target);
    if (!step_.target.defined() || y.elements.size() != x.elements.size()) return;
    const double N = static_cast<double>(std::max<std::size_t>(step_.batch, 1)),
                 M = static_cast<double>(x.elements.size());
    for (const detail::Function& f : detail::functions()) {
      if (f.name != "σ" && f.name != "softmax") continue;
      const Grid p = f.value(x);
      for (const double share : {1.0, 1 / N, 1 / M}) {
        Grid right = x, wrong = x;
        for (std::size_t i = 0; i < x.elements.size(); ++i) {
          right.elements[i] = (p.elements[i] - y.elements[i]) * share;
          wrong.elements[i] = (x.elements[i] - y.elements[i]) * share;
        }
        if (error(right) && equal(wrong, a_))
          find(Cause::WrongVariable, "the logits are taken for probabilities: z − y",
               "with p = " + f.name + "(z), p − y gives " + error_text(right),
               "∂L/∂z = p − y with p = " + f.name + "(z)");
      }
    }
  }

  /// n − a = c·w: one free number, so it takes a few entries to say so.
  void weight_decay() {
    if (is_input() || step_.target.defined() || a_.elements.size() < 3) return;
    const Grid w(t_.value);
    if (w.elements.size() != a_.elements.size()) return;  // it is no tensor's gradient but a value
    double above = 0, below = 0;
    for (std::size_t i = 0; i < w.elements.size(); ++i) {
      if (std::isnan(n_.elements[i])) return;
      above += (n_.elements[i] - a_.elements[i]) * w.elements[i];
      below += w.elements[i] * w.elements[i];
    }
    const double c = above / below;
    Grid repaired = a_;
    for (std::size_t i = 0; i < w.elements.size(); ++i) repaired.elements[i] += c * w.elements[i];
    consider(repaired, Cause::WeightDecay,
             c > 0 ? "the weight decay's part of the " + subject_ + " is missing, or too small"
                   : "the weight decay's part of the " + subject_ + " is too large, or does not belong there",
             formatted("adding %.6g·w gives", c), "the penalty λΣw² adds 2λ·w to dw");
  }

  // Findings -------------------------------------------------------------------------------------------------------

  bool is_input() const {
    return step_.x.defined() && t_.value.shape() == step_.x.shape() && t_.value.to_vector() == step_.x.to_vector();
  }
  /// Is the right gradient the sum of the rows of what comes from above?
  bool is_bias() const {
    if (t_.shape.rank() > 1 || is_input()) return false;
    if (step_.dy.defined() && error(detail::column_sums(rows_like(Grid(step_.dy))))) return true;
    for (std::size_t i = 0; i < chain_.size(); ++i)
      if (role_in(chain_[i], i) == Role::Bias) return true;
    return false;
  }
  /// A neuron's δ (N) has a row for each example, too.
  Grid rows_like(Grid g) const {
    if (g.rows == 1 && n_.elements.size() == 1) std::swap(g.rows, g.columns);
    return g;
  }
  /// Is another gradient wrong by the same constant?
  bool others_too(double c) const {
    return std::any_of(report_.tensors.begin(), report_.tensors.end(), [&](const TensorReport& other) {
      if (&other == &t_ || other.analytic.numel() != other.numeric.numel()) return false;
      const std::optional<double> e = error_of(scaled(Grid(other.analytic), 1 / c), Grid(other.numeric));
      return e && *e <= tolerance_;
    });
  }
  std::optional<Role> role_in(const Stage& stage, std::size_t index) const {
    const std::vector<double> value = t_.value.to_vector();
    const auto is = [&](const Grid& grid) { return !grid.empty() && grid.elements == value; };
    if (index == 0 && is_input()) return Role::Input;
    if (is(stage.weight_is_transposed ? detail::transposed(stage.W) : stage.W)) return Role::Weight;
    if (is(stage.b)) return Role::Bias;
    return {};
  }
  static double largest(const Grid& g) {
    double top = 0;
    for (double v : g.elements) top = std::isnan(v) ? top : std::max(top, std::abs(v));
    return top;
  }

  /// The error of a repaired gradient, if it passes.
  std::optional<double> error(const Grid& repaired) const {
    const std::optional<double> e = error_of(repaired, n_);
    return e && *e <= tolerance_ ? e : std::nullopt;
  }
  /// How well it passes, against the largest entry.
  std::string error_text(const Grid& repaired) const {
    double worst = 0;
    for (std::size_t i = 0; i < n_.elements.size(); ++i)
      if (!std::isnan(n_.elements[i])) worst = std::max(worst, std::abs(repaired.elements[i] - n_.elements[i]));
    return formatted("error %.0e", worst / largest(n_));
  }
  /// Two computed gradients agree, as well as this check can tell.
  bool equal(const Grid& left, const Grid& right) const {
    const std::optional<double> e = error_of(left, right);
    return e && *e <= tolerance_;
  }

  void find(Cause cause, const std::string& what, const std::string& evidence, const std::string& where) {
    findings_.push_back({cause, place_, what, evidence, where});
  }
  void consider(const Grid& repaired, Cause cause, const std::string& what, const std::string& how,
                const std::string& where) {
    if (error(repaired)) find(cause, what, how + " " + error_text(repaired), where);
  }
  static Grid scaled(Grid g, double factor) {
    for (double& v : g.elements) v *= factor;
    return g;
  }
  /// a = c·n.
  void scaled(double c, Cause cause, const std::string& what, const std::string& where) {
    const std::string how = c == -1 ? "changing its sign"
                            : c > 1 ? formatted("dividing it by %.4g", c)
                                    : formatted("multiplying it by %.4g", 1 / c);
    consider(scaled(a_, 1 / c), cause, what, how + " gives", where);
  }
  void same_as(const Grid& mistaken, Cause cause, const std::string& what, const std::string& evidence,
               const std::string& where) {
    if (equal(mistaken, a_)) find(cause, what, evidence, where);
  }

  Diagnosis choose() const {
    Diagnosis none{Cause::Inconclusive, place_, "none of the known mistakes explains the " + subject_, best_constant(),
                   "the entries above: where do they agree, and where not?"};
    if (findings_.empty()) return none;
    for (const Diagnosis& finding : findings_) {
      if (finding.cause == findings_.front().cause) continue;
      none.what = "two mistakes would explain the " + subject_ + " alike: " + to_string(findings_.front().cause) +
                  ", or " + to_string(finding.cause);
      none.evidence = findings_.front().evidence + "; " + finding.evidence;
      none.where = "check with other sizes, pairwise different primes, so that a factor names one of them";
      return none;
    }
    return findings_.front();
  }

  std::string best_constant() const {
    double an = 0, nn = 0, rest = 0;
    for (std::size_t i = 0; i < n_.elements.size() && i < a_.elements.size(); ++i)
      if (!std::isnan(n_.elements[i])) an += a_.elements[i] * n_.elements[i], nn += n_.elements[i] * n_.elements[i];
    const double c = an / nn;
    for (std::size_t i = 0; i < n_.elements.size() && i < a_.elements.size(); ++i)
      if (!std::isnan(n_.elements[i])) rest += std::pow(a_.elements[i] - c * n_.elements[i], 2);
    const double residual = std::sqrt(rest / nn);
    return residual < 1e-6
               ? formatted("it is %.6g times what it should be", c)
               : formatted("it is not a multiple of what it should be: %.3g times it leaves %.2g of it over", c,
                           residual);
  }

  const GradientReport& report_;
  const TensorReport& t_;
  const GradientStep& step_;
  Grid a_, n_;
  double tolerance_;
  std::string subject_, place_;
  Diagnosis result_;
  std::vector<Stage> chain_;
  std::vector<Diagnosis> findings_;
};

Diagnosis inconclusive(const GradientReport& report) {
  for (const TensorReport& t : report.tensors) {
    if (t.verdict != Verdict::Inconclusive) continue;
    const bool kinks = t.skipped > t.checked;
    const Cause cause = kinks ? Cause::Kink : zero(t.analytic.to_vector()) ? Cause::ZeroGradient : Cause::TooFew;
    return {
        cause, report.subject + ": " + t.name, t.reason,
        formatted("%zu entries compared, %zu skipped at kinks, %zu zero or too small", t.checked, t.skipped, t.excused),
        "check at another x"};
  }
  return {};
}

/// In forward order, the first part whose output is not finite.
const GradientReport* first_not_finite(const GradientReport& report) {
  for (std::size_t i = report.parts.size(); i-- > 0;) {
    const GradientReport& part = report.parts[i];
    if (!part.tensors.empty() && part.tensors[0].step.y.defined() && !finite(part.tensors[0].step.y)) return &part;
  }
  return nullptr;
}

}  // namespace

Diagnosis diagnose(const GradientReport& report) {
  if (report.verdict() == Verdict::Inconclusive) return inconclusive(report);
  if (report.verdict() == Verdict::Pass) return {};
  if (const GradientReport* part = first_not_finite(report)) return diagnose(*part);
  for (const GradientReport& part : report.parts)
    if (part.verdict() == Verdict::Fail) return diagnose(part);
  return Case(report, *report.first_failure()).diagnose();
}

std::string to_string(Cause cause) {
  switch (cause) {
    case Cause::None:
      return "nothing";
    case Cause::Inconclusive:
      return "inconclusive";
    case Cause::NonFinite:
      return "a value that is not finite";
    case Cause::NotWritten:
      return "entries never written";
    case Cause::Kink:
      return "a kink";
    case Cause::ZeroGradient:
      return "zero everywhere";
    case Cause::TooFew:
      return "too few entries";
    case Cause::Shape:
      return "wrong shape";
    case Cause::NotAveraged:
      return "not averaged";
    case Cause::AveragedTwice:
      return "averaged twice";
    case Cause::Sign:
      return "wrong sign";
    case Cause::Factor:
      return "a factor 2";
    case Cause::UpstreamIgnored:
      return "δ ignored";
    case Cause::Transposed:
      return "transposed";
    case Cause::BiasNotSummed:
      return "not summed over the batch";
    case Cause::BiasAveraged:
      return "averaged instead of summed";
    case Cause::DerivativeMissing:
      return "activation's derivative missing";
    case Cause::WrongVariable:
      return "derivative of the wrong variable";
    case Cause::ExtraDerivative:
      return "a derivative too much";
    case Cause::Overwritten:
      return "overwritten instead of accumulated";
    case Cause::CacheDestroyed:
      return "the cache destroyed";
    case Cause::NotZeroed:
      return "never zeroed";
    case Cause::Pairing:
      return "every prediction against every target";
    case Cause::WeightDecay:
      return "weight decay missing";
    case Cause::DropoutMask:
      return "dropout mask missing";
    case Cause::Other:
      break;
  }
  return "another mistake";
}

std::ostream& operator<<(std::ostream& out, Cause cause) { return out << to_string(cause); }

std::ostream& operator<<(std::ostream& out, const Diagnosis& diagnosis) {
  if (diagnosis.cause == Cause::None) return out << "  Nothing fails.\n";
  return out << "  What is wrong: " << diagnosis.what << " (" << diagnosis.tensor << ")\n"
             << "  Evidence:      " << diagnosis.evidence << '\n'
             << "  Where to look: " << diagnosis.where << '\n';
}

}  // namespace handgrad
