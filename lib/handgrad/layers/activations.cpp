#include "handgrad/layers/activations.hpp"

#include <variant>
#include <vector>

#include "handgrad/base/backend.hpp"
#include "handgrad/base/format.hpp"
#include "handgrad/base/views.hpp"
#include "handgrad/trace/derivation.hpp"

namespace handgrad {

template <class T>
void ActivationLayer<T>::forward_into(const Tensor<T>& z, Tensor<T>& y) {
  // y = f(z)
  backend<T>(z.device()).activations.forward(formula(), view::vector(z), view::vector(y));
}

template <class T>
void ActivationLayer<T>::backward_into(const Tensor<T>& z, const Tensor<T>& y, const Tensor<T>& dy, Tensor<T>& dz) {
  // dz = δ ∘ f′(z)
  if (this->requires_input_grad())
    backend<T>(z.device())
        .activations.backward(formula(), view::vector(z), view::vector(y), view::vector(dy), view::vector(dz));
}

template <class T>
void ActivationLayer<T>::kink_sides(const Tensor<T>& z, std::vector<bool>& sides) const {
  const std::vector<double> kinks = std::visit([](const auto& f) { return f.kinks(); }, formula());
  if (kinks.empty()) return;
  for (const T v : z.to_vector())
    for (const double kink : kinks) sides.push_back(static_cast<double>(v) > kink);
}

namespace {

using trace::Why;

/// The assignments of y = f(z) and dz = δ·f′(z), as in kernels/formulas/activations.hpp.
struct Written {
  using D = trace::Derivation;
  D operator()(formulas::Identity) const {
    return {.forward = {{"y = z", Why{"What comes in goes out."}}},
            .backward = {{"dz = δ", Why{"y moves just as z does."}}}};
  }
  D operator()(formulas::Threshold) const {
    return {
        .forward = {{"y = [z > 0]", Why{"A step: 1 above 0, else 0."}}},
        .backward = {{"dz = δ·0", Why{"A step is level wherever it has a slope: nothing goes back, and nothing before "
                                      "it learns."}}}};
  }
  D operator()(formulas::Sigmoid) const {
    return {
        .forward = {{"y = σ(z)", Why{"Any number becomes one between 0 and 1, which can be read as a probability."}}},
        .backward = {{"dz = δ∘y∘(1 − y)",
                      Why{"σ′(z) = σ(z)·(1 − σ(z)), and σ(z) is y: at most ¼, and nearly 0 where y is near 0 or 1."}}}};
  }
  D operator()(formulas::Tanh) const {
    return {.forward = {{"y = tanh(z)",
                         Why{"It bends: without a bend between them, two linear layers are one linear layer."}}},
            .backward = {{"dz = δ∘(1 − y²)",
                          Why{"tanh′(z) = 1 − tanh²(z), and tanh(z) is y, which the forward has left here."}}}};
  }
  D operator()(formulas::ReLU) const {
    return {
        .forward = {{"y = max(z, 0)", Why{"What is below 0 is cut off: a kink, the simplest bend there is."}}},
        .backward = {{"dz = δ∘[y > 0]",
                      Why{"Where z was above 0, y moves as z does: δ goes through. Elsewhere y does not move: 0."}}}};
  }
  D operator()(formulas::LeakyReLU f) const {
    return {
        .forward = {{"y = if(z > 0, z, a·z)", Why{"Below 0 the line goes on with the small slope a, so that no neuron "
                                                  "falls silent for good."}}},
        .backward = {{"dz = δ∘if(z > 0, 1, a)", Why{"δ times the slope of the piece on which z lies: 1 or a."}}},
        .known = {{"a", trace::constant(f.negative_slope)}}};
  }
  D operator()(formulas::ELU f) const {
    return {.forward = {{"y = if(z > 0, z, α·(exp(z) − 1))",
                         Why{"Above 0 a line, below 0 an exponential that levels off at −α."}}},
            .backward = {{"dz = δ∘if(z > 0, 1, α·exp(z))",
                          Why{"δ times the slope: 1 above 0, and (α·eᶻ − α)′ = α·eᶻ below."}}},
            .known = {{"α", trace::constant(f.alpha)}}};
  }
  D operator()(formulas::GELU) const {
    return {
        .forward = {{"Φ = (1 + erf(z/sqrt(2)))/2", Why{"The probability that a standard normal number is below z."}},
                    {"y = z∘Φ", Why{"z, taken over with the probability Φ: a ReLU with a soft corner."}}},
        .backward = {{"φ = exp(−z²/2)/sqrt(2·π)", Why{"The bell curve, Φ′."}},
                     {"dz = δ∘(Φ + z∘φ)",
                      Why{"The product rule: z·Φ(z) changes by Φ, since z does, and by z·φ, since Φ does."}}},
        .known = {{"π", trace::constant(3.14159265358979324)}}};
  }
  D operator()(formulas::GELUTanh f) const {
    return {
        .forward = {{"h = tanh(k·(z + c·z³))", Why{"A tanh that lies close to 2Φ − 1, without an error function."}},
                    {"y = z/2∘(1 + h)", Why{"z, taken over with about the probability Φ: a ReLU with a soft corner."}}},
        .backward = {{"dz = δ/2∘(1 + h + z∘(1 − h²)·k∘(1 + 3·c·z²))",
                      Why{"The product rule on z·(1 + h), where h moves by tanh′ = 1 − h² times the slope of what is "
                          "inside."}}},
        .known = {{"k", trace::constant(f.k)}, {"c", trace::constant(f.c)}}};
  }
  D operator()(formulas::SiLU) const {
    return {.forward = {{"s = σ(z)", Why{"The share of z that comes through."}},
                        {"y = z∘s", Why{"z, taken over with the share σ(z)."}}},
            .backward = {{"dz = δ∘s∘(1 + z∘(1 − s))", Why{"The product rule on z·σ(z): σ + z·σ·(1 − σ), times δ."}}}};
  }
  D operator()(formulas::Softplus f) const {
    return {.forward = {{"y = if(β·z > c, z, log1p(exp(β·z))/β)",
                         Why{"A ReLU with a round corner; where it is a line to all digits, it is computed as one."}}},
            .backward = {{"dz = δ∘if(β·z > c, 1, σ(β·z))", Why{"The slope of log(1 + e^(β·z))/β is σ(β·z)."}}},
            .known = {{"β", trace::constant(f.beta)}, {"c", trace::constant(f.threshold)}}};
  }
  D operator()(formulas::Hardtanh f) const {
    return {.forward = {{"y = min(max(z, low), high)",
                         Why{"What lies outside [low, high] is cut off: a tanh of three straight pieces."}}},
            .backward = {{"dz = δ∘[y > low]∘[y < high]",
                          Why{"On the middle piece y moves as z does; on the level ones it does not move."}}},
            .known = {{"low", trace::constant(f.low)}, {"high", trace::constant(f.high)}}};
  }
  D operator()(formulas::Hardsigmoid) const {
    return {.forward = {{"y = min(max(z + 3, 0), 6)/6",
                         Why{"A sigmoid of three straight pieces, without an exponential."}}},
            .backward = {{"dz = δ∘[z > −3]∘[z < 3]/6",
                          Why{"The middle piece rises by 1 over 6; the level ones let nothing through."}}}};
  }
  D operator()(formulas::Hardswish) const {
    return {.forward = {{"y = z∘min(max(z + 3, 0), 6)/6",
                         Why{"z, taken over with a share that grows from 0 at −3 to 1 at 3."}}},
            .backward = {{"dz = δ∘if(z ≤ −3, 0, if(z < 3, z/3 + 1/2, 1))",
                          Why{"The product rule: the share itself, and z times its slope of 1/6 while it grows."}}}};
  }
  D operator()(formulas::LogSigmoid) const {
    return {
        .forward = {{"y = min(z, 0) − log1p(exp(−abs(z)))",
                     Why{"The logarithm of the probability that z stands for, with no exponential that overflows."}}},
        .backward = {{"dz = δ∘σ(−z)", Why{"The slope of log σ is σ′/σ = 1 − σ(z), which is σ(−z)."}}}};
  }
  D operator()(formulas::Softsign) const {
    return {.forward = {{"y = z/(1 + abs(z))", Why{"It bends as tanh does, and comes near ±1 much more slowly."}}},
            .backward = {
                {"dz = δ/(1 + abs(z))²", Why{"The slope of z/(1 + |z|) by the quotient rule: never 0, so a large z "
                                             "can come back."}}}};
  }
  D operator()(formulas::Mish) const {
    return {
        .forward = {{"h = tanh(log1p(exp(z)))", Why{"The share of z that comes through: tanh of the softplus of z."}},
                    {"y = z∘h", Why{"z, taken over with the share h."}}},
        .backward = {{"dz = δ∘(h + z∘(1 − h²)∘σ(z))",
                      Why{"The product rule on z·h, where h moves by tanh′ = 1 − h² times softplus′ = σ(z)."}}}};
  }
};

}  // namespace

template <class T>
trace::Derivation ActivationLayer<T>::derivation(const Shape&) const {
  trace::Derivation d = std::visit(Written{}, formula());
  d.rename = {{"x", "z"}};
  return d;
}

template <class T>
GELU<T>::GELU(const std::string& approximate) : tanh_(approximate == "tanh") {
  if (!tanh_ && approximate != "none")
    throw ValueError("GELU: approximate is 'none' or 'tanh', '" + approximate + "' came");
}

template <class T>
Softplus<T>::Softplus(double beta, double threshold) : beta_(beta), threshold_(threshold) {
  if (beta == 0) throw ValueError("Softplus: beta = 0, but the function divides by it");
}

template <class T>
Hardtanh<T>::Hardtanh(double min_val, double max_val) : min_val_(min_val), max_val_(max_val) {
  if (!(min_val < max_val))
    throw ValueError("Hardtanh: min_val = " + format_number(min_val) + " below max_val = " + format_number(max_val) +
                     " expected");
}

// clang-format off
template <class T> formulas::Activation Identity<T>::formula() const { return formulas::Identity{}; }
template <class T> formulas::Activation Threshold<T>::formula() const { return formulas::Threshold{}; }
template <class T> formulas::Activation Sigmoid<T>::formula() const { return formulas::Sigmoid{}; }
template <class T> formulas::Activation Tanh<T>::formula() const { return formulas::Tanh{}; }
template <class T> formulas::Activation ReLU<T>::formula() const { return formulas::ReLU{}; }
template <class T> formulas::Activation LeakyReLU<T>::formula() const { return formulas::LeakyReLU{negative_slope_}; }
template <class T> formulas::Activation ELU<T>::formula() const { return formulas::ELU{alpha_}; }
template <class T> formulas::Activation SiLU<T>::formula() const { return formulas::SiLU{}; }
template <class T> formulas::Activation Softplus<T>::formula() const { return formulas::Softplus{beta_, threshold_}; }
template <class T> formulas::Activation Hardtanh<T>::formula() const { return formulas::Hardtanh{min_val_, max_val_}; }
template <class T> formulas::Activation Hardsigmoid<T>::formula() const { return formulas::Hardsigmoid{}; }
template <class T> formulas::Activation Hardswish<T>::formula() const { return formulas::Hardswish{}; }
template <class T> formulas::Activation LogSigmoid<T>::formula() const { return formulas::LogSigmoid{}; }
template <class T> formulas::Activation Softsign<T>::formula() const { return formulas::Softsign{}; }
template <class T> formulas::Activation Mish<T>::formula() const { return formulas::Mish{}; }
template <class T> formulas::Activation GELU<T>::formula() const {
  return tanh_ ? formulas::Activation(formulas::GELUTanh{}) : formulas::Activation(formulas::GELU{});
}

template <class T> std::string LeakyReLU<T>::extra_repr() const { return "negative_slope=" + format_number(negative_slope_); }
template <class T> std::string ELU<T>::extra_repr() const { return "alpha=" + format_number(alpha_); }
template <class T> std::string GELU<T>::extra_repr() const { return tanh_ ? "approximate='tanh'" : "approximate='none'"; }
template <class T> std::string Hardtanh<T>::extra_repr() const {
  return "min_val=" + format_number(min_val_) + ", max_val=" + format_number(max_val_);
}
template <class T> std::string Softplus<T>::extra_repr() const {
  return "beta=" + format_number(beta_) + ", threshold=" + format_number(threshold_);
}
// clang-format on

#define HANDGRAD_INSTANTIATE(T)      \
  template class ActivationLayer<T>; \
  template class Identity<T>;        \
  template class Threshold<T>;       \
  template class Sigmoid<T>;         \
  template class Tanh<T>;            \
  template class ReLU<T>;            \
  template class LeakyReLU<T>;       \
  template class ELU<T>;             \
  template class GELU<T>;            \
  template class SiLU<T>;            \
  template class Softplus<T>;        \
  template class Hardtanh<T>;        \
  template class Hardsigmoid<T>;     \
  template class Hardswish<T>;       \
  template class LogSigmoid<T>;      \
  template class Softsign<T>;        \
  template class Mish<T>;
HANDGRAD_INSTANTIATE(float)
HANDGRAD_INSTANTIATE(double)
#undef HANDGRAD_INSTANTIATE

}  // namespace handgrad
