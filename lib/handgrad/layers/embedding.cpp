#include "handgrad/layers/embedding.hpp"

#include <cmath>
#include <limits>

#include "handgrad/base/backend.hpp"
#include "handgrad/base/format.hpp"
#include "handgrad/base/random.hpp"
#include "handgrad/base/views.hpp"
#include "handgrad/trace/derivation.hpp"

namespace handgrad {

namespace {

[[noreturn]] void refuse(const std::string& layer, std::size_t rows, double index, std::size_t place) {
  throw ValueError(layer + ": index " + format_number(index) + " at place " + std::to_string(place) +
                   ", a whole number from 0 to " + std::to_string(rows - 1) + " expected");
}

}  // namespace

template <class T>
void Embedding<T>::forward_into(const Tensor<T>& x, Tensor<T>& y) {
  // yₜ = E[xₜ]
  const auto bad =
      backend<T>(x.device())
          .embedding.forward(view::vector(x), view::matrix(std::as_const(weight)), view::rows_of(y, x.numel()));
  if (bad) refuse(label(), num_embeddings(), bad->target, bad->row);
}

template <class T>
void Embedding<T>::backward_into(const Tensor<T>& x, const Tensor<T>&, const Tensor<T>& dy, Tensor<T>&) {
  if (!weight.requires_grad()) return;
  if (x.device().is_cpu())  // may have been changed since the forward; a GPU's kernel says so itself
    for (std::size_t t = 0; t < x.numel(); ++t)
      if (const T i = x.data()[t]; !(i >= 0 && i < static_cast<T>(num_embeddings()) && i == std::floor(i)))
        refuse(label(), num_embeddings(), static_cast<double>(i), t);
  // dE[xₜ] += δₜ
  auto [dE, touched] = weight.accumulate_rows();
  kernels::TouchedRows note;
  std::size_t count = 0;
  if (touched) {
    count = touched->rows.size();
    touched->rows.resize(count + x.numel());  // upper bound
    note = {touched->rows.data(), &count, touched->marks.data()};
  }
  backend<T>(x.device())
      .embedding.backward(view::vector(x), view::rows_of(dy, x.numel()), padding_.value_or(kernels::no_row),
                          view::matrix(dE), note);
  if (touched) touched->rows.resize(count);
}

namespace {

std::string sizes(std::size_t rows, std::size_t columns) {
  return "Embedding(" + std::to_string(rows) + ", " + std::to_string(columns) + ")";
}

template <class T>
Tensor<T> standard_normal(std::size_t rows, std::size_t columns) {
  if (rows == 0 || columns == 0) throw ValueError(sizes(rows, columns) + ": at least one row and column expected");
  Tensor<T> table = Tensor<T>::empty({rows, columns});
  return normal_(table);
}

}  // namespace

template <class T>
Embedding<T>::Embedding(std::size_t num_embeddings, std::size_t embedding_dim, EmbeddingOptions options)
    : Embedding(standard_normal<T>(num_embeddings, embedding_dim), options) {
  if (padding_) weight.value().rows(*padding_, *padding_ + 1).fill(T(0));
}

template <class T>
Embedding<T>::Embedding(Tensor<T> table, EmbeddingOptions options) {
  if (table.rank() != 2 || table.numel() == 0)
    throw ShapeError("Embedding: a table of shape (num_embeddings, embedding_dim) expected, one of shape " +
                     table.shape().str() + " came");
  const std::size_t rows = table.size(0);
  const std::string name = sizes(rows, table.size(1));
  constexpr std::size_t most = std::size_t{1} << std::numeric_limits<T>::digits;  // T holds all integers up to here
  if (rows > most)
    throw ValueError(name + ": indices of this type count " + std::to_string(most) + " rows at most; " +
                     "Embedding<double> counts more");
  if (options.padding_idx) {
    const auto k = *options.padding_idx, all = static_cast<std::int64_t>(rows);
    if (k < -all || k >= all)
      throw ValueError(name + ": padding_idx = " + std::to_string(k) + " is no row; there are " + std::to_string(rows));
    padding_ = static_cast<std::size_t>(k < 0 ? k + all : k);
  }
  weight = this->register_parameter("weight", std::move(table));
}

template <class T>
Embedding<T> Embedding<T>::from_pretrained(Tensor<T> embeddings, bool freeze, EmbeddingOptions options) {
  Embedding made(std::move(embeddings), options);
  if (freeze) made.freeze();
  return made;
}

template <class T>
Shape Embedding<T>::output_shape(const Shape& input) const {
  if (input.rank() == Shape::max_rank)
    throw ShapeError("indices of at most " + std::to_string(Shape::max_rank - 1) +
                     " dimensions expected, for one of vectors behind them; the input has shape " + input.str());
  Shape output = input;
  output.push_back(embedding_dim());
  return output;
}

template <class T>
std::string Embedding<T>::extra_repr() const {
  return std::to_string(num_embeddings()) + ", " + std::to_string(embedding_dim()) +
         (padding_ ? ", padding_idx=" + std::to_string(*padding_) : "");
}

template <class T>
std::string Embedding<T>::label() const {
  return sizes(num_embeddings(), embedding_dim());
}

template <class T>
trace::Derivation Embedding<T>::derivation(const Shape&) const {
  using trace::Why;
  const Why added{
      "A row is in y as often as its number came, each time with the factor 1: so each time its δ is added to it."};
  trace::Derivation d{.forward = {{"y = E[x]", "y[t,j] = sum(k: [x[t] = k]·E[k,j])",
                                   Why{"A number is looked up as a row of a table."}}},
                      .backward = {{"dE[x] = Σₜ δₜ", "dE[k,j] = sum(t: [x[t] = k]·δ[t,j])", added}},
                      .rename = {{"weight", "E"}}};
  if (padding_) {
    d.backward = {{"dE[x] = Σₜ δₜ", "dE[k,j] = if(k = p, 0, sum(t: [x[t] = k]·δ[t,j]))",
                   Why{added.text + " The row of padding learns nothing."}}};
    d.known = {{"p", trace::constant(static_cast<double>(*padding_))}};
  }
  return d;
}

template class Embedding<float>;
template class Embedding<double>;

}  // namespace handgrad
