#include "handgrad/layers/softmax.hpp"

#include "handgrad/base/backend.hpp"
#include "handgrad/base/views.hpp"
#include "handgrad/trace/derivation.hpp"

namespace handgrad {

namespace {

int counted_from_front(int dim, const Shape& shape) {
  const int rank = static_cast<int>(shape.rank());
  if (dim < -rank || dim >= rank)
    throw ShapeError("there is no dimension " + std::to_string(dim) + " in an input of shape " + shape.str());
  return dim < 0 ? dim + rank : dim;
}

Shape checked(int dim, const Shape& shape) {
  counted_from_front(dim, shape);
  return shape;
}

}  // namespace

template <class T>
void Softmax<T>::forward_into(const Tensor<T>& z, Tensor<T>& y) {
  // yⱼ = e^(zⱼ−m) / Σₖ e^(zₖ−m)
  const int dim = counted_from_front(dim_, z.shape());
  backend<T>(z.device()).softmax.forward(view::lines(z, dim), view::lines(y, dim));
}

template <class T>
void Softmax<T>::backward_into(const Tensor<T>& z, const Tensor<T>& y, const Tensor<T>& dy, Tensor<T>& dz) {
  // dzᵢ = yᵢ(δᵢ − Σⱼ δⱼyⱼ)
  const int dim = counted_from_front(dim_, z.shape());
  backend<T>(z.device()).softmax.backward(view::lines(y, dim), view::lines(dy, dim), view::lines(dz, dim));
}

template <class T>
void LogSoftmax<T>::forward_into(const Tensor<T>& z, Tensor<T>& y) {
  // yⱼ = (zⱼ−m) − log Σₖ e^(zₖ−m)
  const int dim = counted_from_front(dim_, z.shape());
  backend<T>(z.device()).softmax.log_forward(view::lines(z, dim), view::lines(y, dim));
}

template <class T>
void LogSoftmax<T>::backward_into(const Tensor<T>& z, const Tensor<T>& y, const Tensor<T>& dy, Tensor<T>& dz) {
  // dzᵢ = δᵢ − e^(yᵢ)·Σⱼ δⱼ
  const int dim = counted_from_front(dim_, z.shape());
  backend<T>(z.device()).softmax.log_backward(view::lines(y, dim), view::lines(dy, dim), view::lines(dz, dim));
}

template <class T>
Shape Softmax<T>::output_shape(const Shape& input) const {
  return checked(dim_, input);
}

template <class T>
Shape LogSoftmax<T>::output_shape(const Shape& input) const {
  return checked(dim_, input);
}

namespace {

// Indices in the formulas: j and k run along `dim`, n along the other dimension. `at(dim, "z", "j")` is z[n,j], or
// z[j,n] for the columns of a matrix; the formula language has no further dimensions.
bool can_be_written(int dim, const Shape& shape) {
  const int d = counted_from_front(dim, shape), rank = static_cast<int>(shape.rank());
  return d == rank - 1 || rank == 2;
}

std::string at(int dim, const Shape& shape, const char* symbol, const char* index) {
  const bool last = counted_from_front(dim, shape) == static_cast<int>(shape.rank()) - 1;
  return symbol + (last ? "[n," + std::string(index) + "]" : "[" + std::string(index) + ",n]");
}

const char* const off_first =
    "The row's largest number is taken off first: the quotient stays, and no exponential overflows.";

}  // namespace

template <class T>
trace::Derivation Softmax<T>::derivation(const Shape& input) const {
  using trace::Equation, trace::Why;
  const Why shares{
      "Exponentials make all numbers positive and keep their order; divided by their sum they add up to 1."};
  const Why against{
      "zⱼ raises yⱼ and, through the common sum, lowers all y of its row: δⱼ is measured against the mean of δ, "
      "weighed "
      "by y."};
  if (!can_be_written(dim_, input))
    return {.forward = {Equation::symbols("y = exp(z)/Σ exp(z)", shares)},
            .backward = {Equation::symbols("dz = y∘(δ − Σ δ∘y)", against)},
            .rename = {{"x", "z"}}};
  const auto z = [&](const char* symbol, const char* index) { return at(dim_, input, symbol, index); };
  return {.forward = {{"m = max z", "m[n] = max(k: " + z("z", "k") + ")", Why{off_first}},
                      {"e = exp(z − m)", z("e", "j") + " = exp(" + z("z", "j") + " − m[n])",
                       Why{"Exponentials make all numbers positive and keep their order."}},
                      {"y = e/Σ e", z("y", "j") + " = " + z("e", "j") + "/sum(k: " + z("e", "k") + ")",
                       Why{"Divided by their sum they add up to 1: the row's probabilities."}}},
          .backward = {{"dz = y∘(δ − Σ δ∘y)",
                        z("dz", "j") + " = " + z("y", "j") + "·(" + z("δ", "j") + " − sum(k: " + z("δ", "k") + "·" +
                            z("y", "k") + "))",
                        against}},
          .rename = {{"x", "z"}}};
}

template <class T>
trace::Derivation LogSoftmax<T>::derivation(const Shape& input) const {
  using trace::Equation, trace::Why;
  const Why difference{"The logarithm of a quotient is a difference: nothing is divided."};
  const Why shared{"zⱼ is in yⱼ with the factor 1, and in s of its whole row with the factor softmaxⱼ = exp(yⱼ)."};
  if (!can_be_written(dim_, input))
    return {.forward = {Equation::symbols("y = z − log Σ exp(z)", difference)},
            .backward = {Equation::symbols("dz = δ − exp(y)·Σ δ", shared)},
            .rename = {{"x", "z"}}};
  const auto z = [&](const char* symbol, const char* index) { return at(dim_, input, symbol, index); };
  return {.forward = {{"m = max z", "m[n] = max(k: " + z("z", "k") + ")", Why{off_first}},
                      {"s = log Σ exp(z − m)", "s[n] = log(sum(k: exp(" + z("z", "k") + " − m[n])))",
                       Why{"The logarithm of the sum by which softmax divides."}},
                      {"y = z − m − s", z("y", "j") + " = " + z("z", "j") + " − m[n] − s[n]", difference}},
          .backward = {{"dz = δ − exp(y)·Σ δ",
                        z("dz", "j") + " = " + z("δ", "j") + " − exp(" + z("y", "j") + ")·sum(k: " + z("δ", "k") + ")",
                        shared}},
          .rename = {{"x", "z"}}};
}

template class Softmax<float>;
template class Softmax<double>;
template class LogSoftmax<float>;
template class LogSoftmax<double>;

}  // namespace handgrad
