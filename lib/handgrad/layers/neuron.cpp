#include "handgrad/layers/neuron.hpp"

#include "handgrad/base/backend.hpp"
#include "handgrad/base/random.hpp"
#include "handgrad/base/views.hpp"
#include "handgrad/trace/derivation.hpp"

namespace handgrad {

// A neuron is a Linear layer of one row, with the same kernels: w as (1×in), y and δ as (N×1).

template <class T>
void Neuron<T>::forward_into(const Tensor<T>& x, Tensor<T>& y) {
  // y = x·w + b
  backend<T>(x.device())
      .linear.forward(view::matrix(x), view::rows_of(std::as_const(weight).value(), 1), view::vector(bias), nullptr,
                      view::rows_of(y, y.numel()));
}

template <class T>
void Neuron<T>::backward_into(const Tensor<T>& x, const Tensor<T>&, const Tensor<T>& dy, Tensor<T>& dx) {
  auto& k = backend<T>(x.device()).linear;
  const auto delta = view::rows_of(dy, dy.numel());
  // dw = Σₙ δₙ·xₙ,  db = Σₙ δₙ
  if (weight.requires_grad() || bias.requires_grad())
    k.backward_parameters(view::matrix(x), delta, view::gradient(weight), view::gradient(bias));
  // dxₙ = δₙ·w
  if (this->requires_input_grad())
    k.backward_input(delta, view::rows_of(std::as_const(weight).value(), 1), view::matrix(dx));
}

template <class T>
Neuron<T>::Neuron(std::size_t in_features) {
  if (in_features == 0) throw ValueError("Neuron(0): at least one input expected");
  weight = this->register_parameter("weight", randn<T>({in_features}));
  bias = this->register_parameter("bias", randn<T>({1}));
}

template <class T>
Neuron<T>::Neuron(Tensor<T> w, Tensor<T> b) {
  if (w.rank() != 1 || w.numel() == 0)
    throw ShapeError("Neuron: a weight of shape (in,) expected, one of shape " + w.shape().str() + " came");
  if (b.numel() != 1)
    throw ShapeError("Neuron: one number as bias expected, a tensor of shape " + b.shape().str() + " came");
  weight = this->register_parameter("weight", std::move(w));
  bias = this->register_parameter("bias", std::move(b));
}

template <class T>
Shape Neuron<T>::output_shape(const Shape& input) const {
  if (input.rank() < 1 || input.rank() > 2 || input.columns() != in_features())
    throw ShapeError("input of shape (" + std::to_string(in_features()) + ",) or (N, " + std::to_string(in_features()) +
                     ") expected, " + input.str() + " came");
  return Shape(input.begin(), input.end() - 1);
}

template <class T>
trace::Derivation Neuron<T>::derivation(const Shape&) const {
  using trace::Why;
  return {.forward = {{"y = x·w + b", "y[n] = sum(i: x[n,i]·w[i]) + b",
                       Why{"The neuron weighs all inputs of example n, and adds its bias."}}},
          .backward = {{"dw = Σₙ δₙ·xₙ", "dw[i] = sum(n: δ[n]·x[n,i])",
                        Why{"wᵢ is in every yₙ with the factor xₙᵢ: so each example adds δₙ·xₙᵢ."}},
                       {"db = Σₙ δₙ", "db = sum(n: δ[n])",
                        Why{"b is in every yₙ with the factor 1: so each example adds its δₙ."}},
                       {"dx = δ·w", "dx[n,i] = δ[n]·w[i]", Why{"xₙᵢ is in yₙ with the factor wᵢ."}}},
          .rename = {{"weight", "w"}, {"bias", "b"}}};
}

template class Neuron<float>;
template class Neuron<double>;

}  // namespace handgrad
