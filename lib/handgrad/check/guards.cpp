#include "handgrad/check/failure.hpp"

namespace handgrad::detail {

bool finite(const Tensor<double>& tensor) {
  const std::vector<double> elements = tensor.to_vector();
  return std::all_of(elements.begin(), elements.end(), [](double v) { return std::isfinite(v); });
}

bool zero(const std::vector<double>& elements) {
  return std::all_of(elements.begin(), elements.end(), [](double v) { return v == 0 || std::isnan(v); });
}

std::optional<double> error_of(const Grid& repaired, const Grid& numeric, const Grid& uncertainty) {
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
    const double doubt = i < uncertainty.elements.size() ? uncertainty.elements[i] : 0;
    if (std::abs(r - n) > std::max(1e-9 * scale, doubt))
      worst = std::max(worst, std::abs(r - n) / (std::abs(r) + std::abs(n)));
  }
  if (compared == 0 || scale == 0) return {};
  return worst;
}

namespace {

class Guards : Failure {
 public:
  using Failure::Failure;
  std::optional<Diagnosis> operator()() { return not_a_formula() ? std::optional(result_) : std::nullopt; }

 private:
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
    if (t_.found.cause == Cause::NotLinear || (t_.found.named() && error(a_)))
      return say(t_.found.cause, t_.found.what, t_.found.evidence, t_.found.where);
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
                 formatted("it should go up to %.3g", largest(n_)), "is it computed at all? A division of whole numbers, 1/2, gives 0");
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
    if (a_.rows == n.columns && a_.columns == n.rows && a_.rows != a_.columns && error(transposed(a_)))
      return say(Cause::Transposed, "the " + subject_ + " is transposed",
                 came + "; its transpose has " + error_text(transposed(a_)), "the order of the product");
    if (a_.columns == n.elements.size() && a_.rows > 1 && error(column_sums(a_)))
      return say(Cause::BiasNotSummed, "the " + subject_ + " is not summed over the batch",
                 came + "; its sum over the rows has " + error_text(column_sums(a_)), "the sum over n is missing");
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

  Diagnosis result_;
};

}  // namespace

std::optional<Diagnosis> not_a_formula(const GradientReport& report, const TensorReport& tensor) {
  return Guards(report, tensor)();
}

}  // namespace handgrad::detail
