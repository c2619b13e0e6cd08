#include "handgrad/losses/element_loss.hpp"

#include "handgrad/base/backend.hpp"
#include "handgrad/base/views.hpp"
#include "handgrad/trace/derivation.hpp"

namespace handgrad {

template <class T>
static T factor(Reduction reduction, std::size_t n) {
  return reduction == Reduction::Mean ? T(1) / static_cast<T>(n) : T(1);
}

template <class T>
void ElementLoss<T>::forward_into(const Tensor<T>& p, const Tensor<T>& t, Tensor<T>& value) {
  // L = (1/N)·Σ wᵢ·ℓ(pᵢ, tᵢ)
  backend<T>(p.device())
      .losses.element_forward(formula(), view::vector(p), view::vector(t), view::vector(weights()),
                              view::vector(positive_weights()), static_cast<kernels::Reduction>(this->reduction()),
                              factor<T>(this->reduction(), divisor(p.shape())), value.data());
}

template <class T>
void ElementLoss<T>::backward_into(const Tensor<T>& p, const Tensor<T>& t, Tensor<T>& dp) {
  // dpᵢ = (1/N)·wᵢ·∂ℓ/∂p(pᵢ, tᵢ)
  backend<T>(p.device())
      .losses.element_backward(formula(), view::vector(p), view::vector(t), view::vector(weights()),
                               view::vector(positive_weights()), factor<T>(this->reduction(), divisor(p.shape())),
                               view::vector(dp));
}

namespace {

using trace::Why;

/// ℓ and ∂ℓ/∂p as in kernels/formulas/losses.hpp, written so that weights can be put in front; `before` is computed
/// first. q is the weight of the positive class.
template <class T>
struct Written {
  struct Line {
    std::string formula;
    Why why;  // without a full stop for the slope, which the mean divides
  };
  struct Pieces {
    const char* p = "p";
    std::vector<trace::Equation> before = {};
    Line loss, slope;
    std::vector<std::pair<std::string, trace::Array>> known = {};
  };
  bool positive_weights;
  Why how_far{"How far the prediction is from the target."};
  Why of_what_is_true{"−log of the probability that was given to what is true: large when it was sure and wrong."};
  Why slopes_of_log{"The slope of −log p is −1/p, that of −log(1 − p) is 1/(1 − p)"};

  Pieces operator()(formulas::SquaredError) const {
    return {.loss = {"(p − t)²", {"The distance to the target, squared: the sign goes, large errors weigh more."}},
            .slope = {"2·(p − t)", {"The slope of (p − t)² is 2·(p − t)"}}};
  }
  Pieces operator()(formulas::AbsoluteError) const {
    return {.loss = {"abs(p − t)", {"The distance to the target."}},
            .slope = {"sign(p − t)", {"The slope of |p − t| is 1 on one side and −1 on the other, however far"}}};
  }
  Pieces operator()(formulas::Huber f) const {
    return {.before = {{"d = p − t", how_far}},
            .loss = {"if(abs(d) > c, c·(abs(d) − c/2), d²/2)",
                     {"A parabola for small errors, a line for large ones: an outlier does not rule the fit."}},
            .slope = {"max(min(d, c), −c)", {"The error itself while it is small; beyond c it pulls no harder than c"}},
            .known = {{"c", trace::constant(f.delta)}}};
  }
  Pieces operator()(formulas::SmoothAbsoluteError f) const {
    if (f.beta == 0) return (*this)(formulas::AbsoluteError{});
    return {.before = {{"d = p − t", how_far}},
            .loss = {"if(abs(d) ≥ β, abs(d) − β/2, d²/(2·β))",
                     {"The distance, with its kink at 0 rounded off by a parabola."}},
            .slope = {"if(abs(d) ≥ β, sign(d), d/β)", {"The slope of the distance, ±1, and on the parabola d/β"}},
            .known = {{"β", trace::constant(f.beta)}}};
  }
  Pieces operator()(formulas::KullbackLeibler f) const {
    const Why cost{"How much more a message costs when it is coded for exp p in the place of the target."};
    const Why only_p{"p, a logarithm, has minus the target as its factor; the target's own part is constant"};
    if (f.log_target)
      return {.before = {{"q = exp(t)", Why{"The probability whose logarithm the target is."}}},
              .loss = {"q·(t − p)", cost},
              .slope = {"(−q)", only_p}};
    return {.loss = {"if(t = 0, 0, t·(log(t) − p))", cost}, .slope = {"(−t)", only_p}};
  }
  Pieces operator()(formulas::BinaryCrossEntropy) const {
    return {.loss = {"(−t·max(log(p), −100) − (1 − t)·max(log(1 − p), −100))", of_what_is_true},
            .slope = {"(p − t)/max(p·(1 − p), ε)", slopes_of_log},
            .known = {{"ε", trace::constant(static_cast<double>(1e-12F))}}};
  }
  Pieces operator()(formulas::ClampedBinaryCrossEntropy f) const {
    const T low = static_cast<T>(f.eps), high = 1 - low;  // in T, as the kernels compute them
    return {.before = {{"c = min(max(p, low), high)", Why{"p is kept off 0 and 1, where the logarithm ends."}}},
            .loss = {"(−t·log(c) − (1 − t)·log(1 − c))", of_what_is_true},
            .slope = {"if(p < low, 0, if(p > high, 0, (p − t)/(p·(1 − p))))", slopes_of_log},
            .known = {{"low", trace::constant(static_cast<double>(low))},
                      {"high", trace::constant(static_cast<double>(high))}}};
  }
  Pieces operator()(formulas::BinaryCrossEntropyWithLogits) const {
    const std::vector<trace::Equation> before{
        {"p = σ(z)", Why{"The probability that the logit z stands for."}},
        {"s = log1p(exp(−abs(z)))", Why{"log(1 + e⁻ᶻ) = −log p, written so that no exponential overflows."}}};
    if (positive_weights)
      return {.p = "z",
              .before = before,
              .loss = {"(q·t·max(−z, 0) + (1 − t)·max(z, 0) + (1 + (q − 1)·t)·s)", of_what_is_true},
              .slope = {"((1 − t) − (1 + (q − 1)·t)·(1 − p))",
                        {"As without q, p − t, where what the positive examples give to it has the weight q"}}};
    return {
        .p = "z",
        .before = before,
        .loss = {"(t·max(−z, 0) + (1 − t)·max(z, 0) + s)", of_what_is_true},
        .slope = {"(p − t)",
                  {"∂ℓ/∂p = (p − t)/(p(1 − p)) and ∂p/∂z = p(1 − p): the product is p − t, and nothing is divided by "
                   "what may be 0"}}};
  }
};

}  // namespace

template <class T>
trace::Derivation ElementLoss<T>::derivation(const Shape& prediction, const Shape&) const {
  const auto pieces = std::visit(Written<T>{.positive_weights = positive_weights() != nullptr}, formula());
  const bool mean = this->reduction() == Reduction::Mean, none = this->reduction() == Reduction::None;
  const std::string weight = weights() ? "w·" : "", gradient = std::string("d") + pieces.p + " = ";
  trace::Derivation d{.forward = pieces.before, .rename = {{"p", pieces.p}}, .known = pieces.known};
  d.forward.emplace_back(((none ? "L = " : "ℓ = ") + weight + pieces.loss.formula).c_str(), pieces.loss.why);
  if (!none)
    d.forward.emplace_back(mean ? "L = sum(i: ℓ[i])/N" : "L = sum(i: ℓ[i])",
                           Why{"One number for the whole batch, of which all gradients are the slopes."});
  d.backward.emplace_back(
      (gradient + weight + pieces.slope.formula + (mean ? "/N" : "")).c_str(),
      Why{pieces.slope.why.text + (mean ? "; the mean divides by N, here and nowhere else." : ".")});
  if (mean) d.known.emplace_back("N", trace::constant(static_cast<double>(divisor(prediction))));
  if (weights()) d.known.emplace_back("w", trace::array(*weights()));
  if (positive_weights()) d.known.emplace_back("q", trace::array(*positive_weights()));
  return d;
}

template class ElementLoss<float>;
template class ElementLoss<double>;

}  // namespace handgrad
