#include "handgrad/layers/activations.hpp"

#include <optional>
#include <variant>

#include "handgrad/format.hpp"
#include "kernels/backend.hpp"

namespace handgrad {

template <class T>
void ActivationLayer<T>::forward_into(const Tensor<T>& z, Tensor<T>& y) {
  // y = f(z)
  kernels::backend<T>(z.device()).activation_forward(formula(), z, y);
}

template <class T>
void ActivationLayer<T>::backward_into(const Tensor<T>& z, const Tensor<T>& y, const Tensor<T>& dy, Tensor<T>& dz) {
  // dz = δ ∘ f′(z)
  if (this->requires_input_grad()) kernels::backend<T>(z.device()).activation_backward(formula(), z, y, dy, dz);
}

template <class T>
void ActivationLayer<T>::kink_sides(const Tensor<T>& z, std::vector<bool>& sides) const {
  const std::optional<double> kink = std::visit([](const auto& f) { return f.kink(); }, formula());
  if (!kink) return;
  for (const T v : z.to_vector()) sides.push_back(static_cast<double>(v) > *kink);
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
template <class T> formulas::Activation GELU<T>::formula() const {
  return tanh_ ? formulas::Activation(formulas::GELUTanh{}) : formulas::Activation(formulas::GELU{});
}

template <class T> std::string LeakyReLU<T>::extra_repr() const { return "negative_slope=" + format_number(negative_slope_); }
template <class T> std::string ELU<T>::extra_repr() const { return "alpha=" + format_number(alpha_); }
template <class T> std::string GELU<T>::extra_repr() const { return tanh_ ? "approximate='tanh'" : "approximate='none'"; }
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
  template class Softplus<T>;
HANDGRAD_INSTANTIATE(float)
HANDGRAD_INSTANTIATE(double)
#undef HANDGRAD_INSTANTIATE

}  // namespace handgrad
