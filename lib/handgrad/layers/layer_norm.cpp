#include "handgrad/layers/layer_norm.hpp"

#include "handgrad/base/backend.hpp"
#include "handgrad/base/format.hpp"
#include "handgrad/base/views.hpp"
#include "handgrad/trace/derivation.hpp"
#include "handgrad/trace/row_indices.hpp"

namespace handgrad {

template <class T>
void LayerNorm<T>::forward_into(const Tensor<T>& x, Tensor<T>& y) {
  const std::size_t rows = x.numel() / shape_.numel();
  mean_.reserve({2, rows}, x.device());
  inv_std_.reserve({rows}, x.device());
  // y = γ∘x̂ + β,  x̂ = (x − µ)·s
  backend<T>(x.device())
      .norms.layer_norm_forward(view::rows_of(x, rows), view::vector(weight), view::vector(bias),
                                static_cast<T>(options_.eps), view::matrix(mean_), view::vector(inv_std_),
                                view::rows_of(y, rows));
}

template <class T>
void LayerNorm<T>::backward_into(const Tensor<T>& x, const Tensor<T>&, const Tensor<T>& dy, Tensor<T>& dx) {
  // dβ = Σₙ δ,  dγ = Σₙ δ∘x̂;  with g = γ∘δ:  dx = s·(g − mean(g) − x̂·mean(g∘x̂))
  const std::size_t rows = mean_.size(1);
  backend<T>(x.device())
      .norms.layer_norm_backward(view::rows_of(x, rows), view::rows_of(dy, rows), view::vector(weight),
                                 view::matrix(mean_), view::vector(inv_std_), view::gradient(weight),
                                 view::gradient(bias),
                                 this->requires_input_grad() ? view::rows_of(dx, rows) : kernels::Matrix<T>{});
}

template <class T>
LayerNorm<T>::LayerNorm(Shape normalized_shape, LayerNormOptions options)
    : shape_(normalized_shape), options_(options) {
  if (shape_.rank() == 0 || shape_.numel() == 0)
    throw ValueError("LayerNorm: normalized_shape = " + shape_.str() + ", at least one feature expected");
  if (!(options.eps >= 0)) throw ValueError("LayerNorm: eps = " + format_number(options.eps) + ", ≥ 0 expected");
  if (!options.elementwise_affine) return;
  weight = this->register_parameter("weight", ones<T>(shape_));
  if (options.bias) bias = this->register_parameter("bias", zeros<T>(shape_));
}

template <class T>
Shape LayerNorm<T>::output_shape(const Shape& input) const {
  bool fits = input.rank() >= shape_.rank();
  for (std::size_t i = 1; fits && i <= shape_.rank(); ++i) fits = input[-int(i)] == shape_[-int(i)];
  if (!fits)
    throw ShapeError("an input whose last dimensions are " + shape_.str() + " expected, one of shape " + input.str() +
                     " came");
  return input;
}

template <class T>
std::string LayerNorm<T>::extra_repr() const {
  return shape_.str() + ", eps=" + format_number(options_.eps) +
         ", elementwise_affine=" + (options_.elementwise_affine ? "True" : "False");
}

template <class T>
std::string LayerNorm<T>::label() const {
  return "LayerNorm" + (shape_.rank() == 1 ? "(" + std::to_string(shape_[0]) + ")" : shape_.str());
}

template <class T>
trace::Derivation LayerNorm<T>::derivation(const Shape& input) const {
  using trace::Why;
  const trace::RowIndices at(input, shape_);
  const bool scaled = weight.defined(), shifted = bias.defined();
  const std::string gamma = scaled ? "γ" + at.feature + "·" : "", x = "x" + at.element, x_hat = "x̂" + at.element;
  trace::Derivation d{
      .forward = {{"µ = mean(x)", "µ" + at.row + " = " + at.sum("x" + at.other) + "/D",
                   Why{"The mean of an example over its features."}},
                  {"v = mean((x − µ)²)", "v" + at.row + " = " + at.sum("(x" + at.other + " − µ" + at.row + ")²") + "/D",
                   Why{"How far its features lie from it, squared, on average."}},
                  {"s = 1/sqrt(v + ε)", Why{"One over the spread; ε keeps it finite where all features are alike."}},
                  {"x̂ = (x − µ)·s", x_hat + " = (" + x + " − µ" + at.row + ")·s" + at.row,
                   Why{"Each example with mean 0 and spread 1 over its features."}},
                  {std::string("y = ") + (scaled ? "γ∘x̂" : "x̂") + (shifted ? " + β" : ""),
                   "y" + at.element + " = " + gamma + x_hat + (shifted ? " + β" + at.feature : ""),
                   Why{scaled ? "γ and β let each feature have the spread and mean that it needs."
                              : "The normalized numbers, as they are."}}},
      .backward = {{scaled ? "g = γ∘δ" : "g = δ", "g" + at.element + " = " + gamma + "δ" + at.element,
                    Why{"∂L/∂x̂: what comes back to the normalized number."}}},
      .rename = {{"weight", "γ"}, {"bias", "β"}},
      .known = {{"D", trace::constant(static_cast<double>(shape_.numel()))}, {"ε", trace::constant(options_.eps)}}};
  if (scaled)
    d.backward.emplace_back("dγ = Σₙ δₙ∘x̂ₙ", "dγ" + at.feature + " = " + at.over_rows("δ" + at.element + "·" + x_hat),
                            Why{"γ is in y of every example, with the factor x̂: so each adds δ·x̂."});
  if (shifted)
    d.backward.emplace_back("dβ = Σₙ δₙ", "dβ" + at.feature + " = " + at.over_rows("δ" + at.element),
                            Why{"β is in y of every example, with the factor 1: so each adds its δ."});
  d.backward.emplace_back("dx = s·(g − mean(g) − x̂·mean(g∘x̂))",
                          "dx" + at.element + " = s" + at.row + "·(g" + at.element + " − " + at.sum("g" + at.other) +
                              "/D − " + x_hat + "·" + at.sum("g" + at.other + "·x̂" + at.other) + "/D)",
                          Why{"A feature moves its own x̂, and with mean and spread those of its whole example: what g "
                              "has in common, and what goes along x̂, is taken off."});
  return d;
}

template class LayerNorm<float>;
template class LayerNorm<double>;

}  // namespace handgrad
