#include "handgrad/layers/rms_norm.hpp"

#include <limits>

#include "handgrad/base/backend.hpp"
#include "handgrad/base/format.hpp"
#include "handgrad/base/views.hpp"
#include "handgrad/trace/derivation.hpp"
#include "handgrad/trace/row_indices.hpp"

namespace handgrad {

template <class T>
void RMSNorm<T>::forward_into(const Tensor<T>& x, Tensor<T>& y) {
  const std::size_t rows = x.numel() / shape_.numel();
  inv_rms_.reserve({rows}, x.device());
  // y = γ∘x·r,  r = 1/√(mean(x²) + ε)
  backend<T>(x.device())
      .norms.rms_norm_forward(view::rows_of(x, rows), view::vector(weight), eps(), view::vector(inv_rms_),
                              view::rows_of(y, rows));
}

template <class T>
void RMSNorm<T>::backward_into(const Tensor<T>& x, const Tensor<T>&, const Tensor<T>& dy, Tensor<T>& dx) {
  // dγ = Σₙ δ∘x̂;  with g = γ∘δ:  dx = r·(g − x̂·mean(g∘x̂))
  const std::size_t rows = inv_rms_.numel();
  backend<T>(x.device())
      .norms.rms_norm_backward(view::rows_of(x, rows), view::rows_of(dy, rows), view::vector(weight),
                               view::vector(inv_rms_), view::gradient(weight),
                               this->requires_input_grad() ? view::rows_of(dx, rows) : kernels::Matrix<T>{});
}

template <class T>
RMSNorm<T>::RMSNorm(Shape normalized_shape, RMSNormOptions options) : shape_(normalized_shape), options_(options) {
  if (shape_.rank() == 0 || shape_.numel() == 0)
    throw ValueError("RMSNorm: normalized_shape = " + shape_.str() + ", at least one feature expected");
  if (options.eps && !(*options.eps >= 0))
    throw ValueError("RMSNorm: eps = " + format_number(*options.eps) + ", ≥ 0 expected");
  if (options.elementwise_affine) weight = this->register_parameter("weight", ones<T>(shape_));
}

template <class T>
T RMSNorm<T>::eps() const {
  return options_.eps ? static_cast<T>(*options_.eps) : std::numeric_limits<T>::epsilon();
}

template <class T>
Shape RMSNorm<T>::output_shape(const Shape& input) const {
  bool fits = input.rank() >= shape_.rank();
  for (std::size_t i = 1; fits && i <= shape_.rank(); ++i) fits = input[-int(i)] == shape_[-int(i)];
  if (!fits)
    throw ShapeError("an input whose last dimensions are " + shape_.str() + " expected, one of shape " + input.str() +
                     " came");
  return input;
}

template <class T>
std::string RMSNorm<T>::extra_repr() const {
  return shape_.str() + ", eps=" + (options_.eps ? format_number(*options_.eps) : "None") +
         ", elementwise_affine=" + (options_.elementwise_affine ? "True" : "False");
}

template <class T>
std::string RMSNorm<T>::label() const {
  return "RMSNorm" + (shape_.rank() == 1 ? "(" + std::to_string(shape_[0]) + ")" : shape_.str());
}

template <class T>
trace::Derivation RMSNorm<T>::derivation(const Shape& input) const {
  using trace::Why;
  const trace::RowIndices at(input, shape_);
  const bool scaled = weight.defined();
  trace::Derivation d{
      .forward = {{"r = 1/sqrt(mean(x²) + ε)", "r" + at.row + " = 1/sqrt(" + at.sum("x" + at.other + "²") + "/D + ε)",
                   Why{"One over the root mean square of the row; ε keeps it finite where all are 0."}},
                  {"x̂ = x·r", "x̂" + at.element + " = x" + at.element + "·r" + at.row,
                   Why{"Each row with mean square 1; its mean stays what it is, scaled."}},
                  {scaled ? "y = γ∘x̂" : "y = x̂",
                   "y" + at.element + " = " + (scaled ? "γ" + at.feature + "·" : "") + "x̂" + at.element,
                   Why{scaled ? "γ lets each feature have the size that it needs."
                              : "The normalized numbers, as they are."}}},
      .backward = {{scaled ? "g = γ∘δ" : "g = δ",
                    "g" + at.element + " = " + (scaled ? "γ" + at.feature + "·" : "") + "δ" + at.element,
                    Why{"∂L/∂x̂: what comes back to the normalized number."}}},
      .rename = {{"weight", "γ"}},
      .known = {{"D", trace::constant(static_cast<double>(shape_.numel()))},
                {"ε", trace::constant(static_cast<double>(eps()))}}};
  if (scaled)
    d.backward.emplace_back("dγ = Σₙ δₙ∘x̂ₙ",
                            "dγ" + at.feature + " = " + at.over_rows("δ" + at.element + "·x̂" + at.element),
                            Why{"γ is in y of every example, with the factor x̂: so each adds δ·x̂."});
  d.backward.emplace_back("dx = r·(g − x̂·mean(g∘x̂))",
                          "dx" + at.element + " = r" + at.row + "·(g" + at.element + " − x̂" + at.element + "·" +
                              at.sum("g" + at.other + "·x̂" + at.other) + "/D)",
                          Why{"A feature moves its own x̂, and with the root mean square those of its whole row: what "
                              "goes along x̂ is taken off."});
  return d;
}

template class RMSNorm<float>;
template class RMSNorm<double>;

}  // namespace handgrad
