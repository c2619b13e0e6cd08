#include "handgrad/layers/positional_encoding.hpp"

#include <cmath>

#include "handgrad/base/backend.hpp"
#include "handgrad/base/elementary.hpp"
#include "handgrad/base/format.hpp"
#include "handgrad/base/views.hpp"
#include "handgrad/fusion/access.hpp"
#include "handgrad/trace/derivation.hpp"

namespace handgrad {

namespace {

/// How many consecutive rows of x (…, E) have the same t, and how many t there are.
struct Places {
  std::size_t step = 1, length = 1;
  Places(const Shape& x, bool batch_first)
      : step(x.rank() == 3 && !batch_first ? x[1] : 1), length(x[x.rank() == 3 && batch_first ? 1 : 0]) {}
};

}  // namespace

template <class T>
void PositionalEncoding<T>::forward_into(const Tensor<T>& x, Tensor<T>& y) {
  fusion::Access<T>(*dropout_).release_input();
  if (dropped()) sum_.reserve(x.shape(), x.device());
  const Places places(x.shape(), batch_first_);
  // y = dropout(x + p)
  backend<T>(x.device())
      .embedding.add_positions(view::matrix(x), view::rows_of(std::as_const(pe).value(), pe.value().size(0)),
                               places.step, places.length, view::matrix(dropped() ? sum_ : y));
  if (dropped()) y.copy_from(dropout_->forward(sum_));
}

template <class T>
void PositionalEncoding<T>::backward_into(const Tensor<T>&, const Tensor<T>&, const Tensor<T>& dy, Tensor<T>& dx) {
  // dx = δ, with the dropout mask of y
  if (this->requires_input_grad()) dx.copy_from(dropped() ? dropout_->backward(dy) : dy);
}

template <class T>
PositionalEncoding<T>::PositionalEncoding(std::size_t d_model, PositionalEncodingOptions options)
    : batch_first_(options.batch_first), dropout_(std::make_shared<Dropout<T>>(options.dropout)) {
  if (d_model == 0 || options.max_len == 0)
    throw ValueError("PositionalEncoding: d_model and max_len of at least 1 expected");
  this->register_child("dropout", dropout_);
  Tensor<T> table = Tensor<T>::empty({options.max_len, 1, d_model});
  for (std::size_t t = 0; t < options.max_len; ++t)
    for (std::size_t j = 0; j < d_model; ++j) {
      const double features = static_cast<double>(d_model),
                   angle =
                       static_cast<double>(t) * detail::elementary_pow(1e4, -static_cast<double>(j / 2 * 2) / features);
      table.data()[t * d_model + j] =
          static_cast<T>(j % 2 == 0 ? detail::elementary_sin(angle) : detail::elementary_cos(angle));
    }
  pe = this->register_buffer("pe", std::move(table));
}

template <class T>
Shape PositionalEncoding<T>::output_shape(const Shape& input) const {
  const std::size_t max_len = pe.value().size(0), features = pe.value().size(2);
  if ((input.rank() != 2 && input.rank() != 3) || input.columns() != features)
    throw ShapeError("sequences of shape " + std::string(batch_first_ ? "(N, T, " : "(T, N, ") +
                     std::to_string(features) + ") or (T, " + std::to_string(features) + ") expected, the input has " +
                     "shape " + input.str());
  if (const std::size_t length = Places(input, batch_first_).length; length > max_len)
    throw ShapeError("sequences of at most " + std::to_string(max_len) + " expected, the input has " +
                     std::to_string(length) + " (shape " + input.str() + ")");
  return input;
}

template <class T>
std::string PositionalEncoding<T>::extra_repr() const {
  return std::to_string(pe.value().size(2)) + ", max_len=" + std::to_string(pe.value().size(0));
}

template <class T>
trace::Derivation PositionalEncoding<T>::derivation(const Shape& input) const {
  using trace::Why;
  const Why pattern{"To each place a pattern of its own is added, for the layers behind see no order."};
  if (dropped())
    return {.forward = {trace::Equation::symbols("y = dropout(x + p)", pattern)},
            .backward = {trace::Equation::symbols("dx = dropout(δ)", Why{"What was silenced gets nothing."})}};
  Tensor<T> places = zeros<T>(input, pe.value().device());
  const Places at(input, batch_first_);
  backend<T>(places.device())
      .embedding.add_positions(view::matrix(std::as_const(places)),
                               view::rows_of(std::as_const(pe).value(), pe.value().size(0)), at.step, at.length,
                               view::matrix(places));
  return {.forward = {{"y = x + p", pattern}},
          .backward = {{"dx = δ", Why{"y moves just as x does: the pattern is a constant."}}},
          .known = {{"p", trace::array(places)}}};
}

template class PositionalEncoding<float>;
template class PositionalEncoding<double>;

}  // namespace handgrad
