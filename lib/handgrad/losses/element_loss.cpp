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
void ElementLoss<T>::forward_into(const Tensor<T>& p, const Tensor<T>& y, Tensor<T>& value) {
  // L = (1/N)·Σ wᵢ·ℓ(pᵢ, yᵢ)
  backend<T>(p.device())
      .losses.element_forward(formula(), view::vector(p), view::vector(y), view::vector(weights()),
                              view::vector(positive_weights()), static_cast<kernels::Reduction>(this->reduction()),
                              factor<T>(this->reduction(), divisor(p.shape())), value.data());
}

template <class T>
void ElementLoss<T>::backward_into(const Tensor<T>& p, const Tensor<T>& y, Tensor<T>& dp) {
  // dpᵢ = (1/N)·wᵢ·∂ℓ/∂p(pᵢ, yᵢ)
  backend<T>(p.device())
      .losses.element_backward(formula(), view::vector(p), view::vector(y), view::vector(weights()),
                               view::vector(positive_weights()), factor<T>(this->reduction(), divisor(p.shape())),
                               view::vector(dp));
}

namespace {

/// ℓ and ∂ℓ/∂p as in kernels/formulas/losses.hpp, written so that weights can be put in front; `before` is computed
/// first. q is the weight of the positive class.
template <class T>
struct Written {
  struct Pieces {
    const char* p;
    std::vector<trace::Equation> before;
    std::string value, derivative;
    std::vector<std::pair<std::string, trace::Array>> known = {};
  };
  bool positive_weights;

  Pieces operator()(formulas::SquaredError) const { return {"p", {}, "(p − t)²", "2·(p − t)"}; }
  Pieces operator()(formulas::AbsoluteError) const { return {"p", {}, "abs(p − t)", "sign(p − t)"}; }
  Pieces operator()(formulas::Huber f) const {
    return {"p",
            {"d = p − t"},
            "if(abs(d) > c, c·(abs(d) − c/2), d²/2)",
            "max(min(d, c), −c)",
            {{"c", trace::constant(f.delta)}}};
  }
  Pieces operator()(formulas::SmoothAbsoluteError f) const {
    if (f.beta == 0) return (*this)(formulas::AbsoluteError{});
    return {"p",
            {"d = p − t"},
            "if(abs(d) ≥ β, abs(d) − β/2, d²/(2·β))",
            "if(abs(d) ≥ β, sign(d), d/β)",
            {{"β", trace::constant(f.beta)}}};
  }
  Pieces operator()(formulas::KullbackLeibler f) const {
    if (f.log_target) return {"p", {"q = exp(t)"}, "q·(t − p)", "(−q)"};
    return {"p", {}, "if(t = 0, 0, t·(log(t) − p))", "(−t)"};
  }
  Pieces operator()(formulas::BinaryCrossEntropy) const {
    return {"p",
            {},
            "(−t·max(log(p), −100) − (1 − t)·max(log(1 − p), −100))",
            "(p − t)/max(p·(1 − p), ε)",
            {{"ε", trace::constant(static_cast<double>(1e-12F))}}};
  }
  Pieces operator()(formulas::ClampedBinaryCrossEntropy f) const {
    const T low = static_cast<T>(f.eps), high = 1 - low;  // in T, as the kernels compute them
    return {"p",
            {"c = min(max(p, low), high)"},
            "(−t·log(c) − (1 − t)·log(1 − c))",
            "if(p < low, 0, if(p > high, 0, (p − t)/(p·(1 − p))))",
            {{"low", trace::constant(static_cast<double>(low))}, {"high", trace::constant(static_cast<double>(high))}}};
  }
  Pieces operator()(formulas::BinaryCrossEntropyWithLogits) const {
    if (positive_weights)
      return {"z",
              {"p = σ(z)", "s = log1p(exp(−abs(z)))"},
              "(q·t·max(−z, 0) + (1 − t)·max(z, 0) + (1 + (q − 1)·t)·s)",
              "((1 − t) − (1 + (q − 1)·t)·(1 − p))"};
    return {"z", {"p = σ(z)", "s = log1p(exp(−abs(z)))"}, "(t·max(−z, 0) + (1 − t)·max(z, 0) + s)", "(p − t)"};
  }
};

}  // namespace

template <class T>
trace::Derivation ElementLoss<T>::derivation(const Shape& prediction, const Shape&) const {
  const auto pieces = std::visit(Written<T>{positive_weights() != nullptr}, formula());
  const bool mean = this->reduction() == Reduction::Mean, none = this->reduction() == Reduction::None;
  const std::string weight = weights() ? "w·" : "", gradient = std::string("d") + pieces.p + " = ";
  trace::Derivation d{.forward = pieces.before, .rename = {{"p", pieces.p}}, .known = pieces.known};
  d.forward.emplace_back(((none ? "L = " : "ℓ = ") + weight + pieces.value).c_str());
  if (!none) d.forward.emplace_back(mean ? "L = sum(i: ℓ[i])/N" : "L = sum(i: ℓ[i])");
  d.backward.emplace_back((gradient + weight + pieces.derivative + (mean ? "/N" : "")).c_str());
  if (mean) d.known.emplace_back("N", trace::constant(static_cast<double>(divisor(prediction))));
  if (weights()) d.known.emplace_back("w", trace::array(*weights()));
  if (positive_weights()) d.known.emplace_back("q", trace::array(*positive_weights()));
  return d;
}

template class ElementLoss<float>;
template class ElementLoss<double>;

}  // namespace handgrad
