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

/// The assignments of y = f(z) and dz = δ·f′(z), as in kernels/formulas/activations.hpp.
struct Written {
  using D = trace::Derivation;
  D operator()(formulas::Identity) const { return {{"y = z"}, {"dz = δ"}}; }
  D operator()(formulas::Threshold) const { return {{"y = [z > 0]"}, {"dz = δ·0"}}; }
  D operator()(formulas::Sigmoid) const { return {{"y = σ(z)"}, {"dz = δ·y·(1 − y)"}}; }
  D operator()(formulas::Tanh) const { return {{"y = tanh(z)"}, {"dz = δ·(1 − y²)"}}; }
  D operator()(formulas::ReLU) const { return {{"y = max(z, 0)"}, {"dz = δ·[y > 0]"}}; }
  D operator()(formulas::LeakyReLU f) const {
    return {{"y = if(z > 0, z, a·z)"}, {"dz = δ·if(z > 0, 1, a)"}, {}, {{"a", trace::constant(f.negative_slope)}}};
  }
  D operator()(formulas::ELU f) const {
    return {
        {"y = if(z > 0, z, α·(exp(z) − 1))"}, {"dz = δ·if(z > 0, 1, α·exp(z))"}, {}, {{"α", trace::constant(f.alpha)}}};
  }
  D operator()(formulas::GELU) const {
    return {{"Φ = (1 + erf(z/sqrt(2)))/2", "y = z·Φ"},
            {"φ = exp(−z²/2)/sqrt(2·π)", "dz = δ·(Φ + z·φ)"},
            {},
            {{"π", trace::constant(3.14159265358979324)}}};
  }
  D operator()(formulas::GELUTanh f) const {
    return {{"t = tanh(k·(z + c·z³))", "y = z/2·(1 + t)"},
            {"dz = δ/2·(1 + t + z·(1 − t²)·k·(1 + 3·c·z²))"},
            {},
            {{"k", trace::constant(f.k)}, {"c", trace::constant(f.c)}}};
  }
  D operator()(formulas::SiLU) const { return {{"s = σ(z)", "y = z·s"}, {"dz = δ·s·(1 + z·(1 − s))"}}; }
  D operator()(formulas::Softplus f) const {
    return {{"y = if(β·z > t, z, log1p(exp(β·z))/β)"},
            {"dz = δ·if(β·z > t, 1, σ(β·z))"},
            {},
            {{"β", trace::constant(f.beta)}, {"t", trace::constant(f.threshold)}}};
  }
  D operator()(formulas::Hardtanh f) const {
    return {{"y = min(max(z, low), high)"},
            {"dz = δ·[y > low]·[y < high]"},
            {},
            {{"low", trace::constant(f.low)}, {"high", trace::constant(f.high)}}};
  }
  D operator()(formulas::Hardsigmoid) const { return {{"y = min(max(z + 3, 0), 6)/6"}, {"dz = δ·[z > −3]·[z < 3]/6"}}; }
  D operator()(formulas::Hardswish) const {
    return {{"y = z·min(max(z + 3, 0), 6)/6"}, {"dz = δ·if(z ≤ −3, 0, if(z < 3, z/3 + 1/2, 1))"}};
  }
  D operator()(formulas::LogSigmoid) const { return {{"y = min(z, 0) − log1p(exp(−abs(z)))"}, {"dz = δ·σ(−z)"}}; }
  D operator()(formulas::Softsign) const { return {{"y = z/(1 + abs(z))"}, {"dz = δ/(1 + abs(z))²"}}; }
  D operator()(formulas::Mish) const {
    return {{"t = tanh(log1p(exp(z)))", "y = z·t"}, {"dz = δ·(t + z·(1 − t²)·σ(z))"}};
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
