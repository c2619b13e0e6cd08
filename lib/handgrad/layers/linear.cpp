#include "handgrad/layers/linear.hpp"

#include <cmath>

#include "handgrad/base/backend.hpp"
#include "handgrad/base/random.hpp"
#include "handgrad/base/views.hpp"
#include "handgrad/trace/derivation.hpp"

namespace handgrad {

template <class T>
void Linear<T>::forward_into(const Tensor<T>& x, Tensor<T>& y) {
  // y = x·Wᵀ + b
  backend<T>(x.device())
      .linear.forward(view::matrix(x), view::matrix(weight), view::vector(bias), nullptr, view::matrix(y));
}

template <class T>
void Linear<T>::backward_into(const Tensor<T>& x, const Tensor<T>&, const Tensor<T>& dy, Tensor<T>& dx) {
  auto& k = backend<T>(x.device()).linear;
  // dW = δᵀ·x,  db = Σₙ δₙ
  if (weight.requires_grad() || bias.requires_grad())
    k.backward_parameters(view::matrix(x), view::matrix(dy), view::gradient(weight), view::gradient(bias));
  // dx = δ·W
  if (this->requires_input_grad()) k.backward_input(view::matrix(dy), view::matrix(weight), view::matrix(dx));
}

template <class T>
Linear<T>::Linear(std::size_t in_features, std::size_t out_features, bool with_bias) {
  if (in_features == 0 || out_features == 0)
    throw ValueError("Linear(" + std::to_string(in_features) + " → " + std::to_string(out_features) +
                     "): at least one feature on each side expected");
  // Both bounds are 1/√in. PyTorch computes the weight's by Kaiming's formula with a = √5, which differs in the last
  // bit; the same is done here, so that double weights agree too.
  const double a = std::sqrt(5.0), gain = std::sqrt(2 / (1 + a * a)),
               root = std::sqrt(static_cast<double>(in_features));
  const auto draw = [](const Shape& shape, double bound) {
    Tensor<T> x = Tensor<T>::empty(shape);
    return uniform_(x, -bound, bound);
  };
  weight = this->register_parameter("weight", draw({out_features, in_features}, std::sqrt(3.0) * (gain / root)));
  if (with_bias) bias = this->register_parameter("bias", draw({out_features}, 1 / root));
}

template <class T>
Linear<T>::Linear(Tensor<T> W, Tensor<T> b) {
  if (W.rank() != 2 || W.numel() == 0)
    throw ShapeError("Linear: a weight of shape (out, in) expected, one of shape " + W.shape().str() + " came");
  if (b.defined() && !(b.shape() == Shape{W.size(0)}))
    throw ShapeError("Linear: weight has shape " + W.shape().str() + ", so a bias of shape " + Shape{W.size(0)}.str() +
                     " expected, one of shape " + b.shape().str() + " came");
  weight = this->register_parameter("weight", std::move(W));
  if (b.defined()) bias = this->register_parameter("bias", std::move(b));
}

template <class T>
Linear<T> Linear<T>::standard_normal(std::size_t in_features, std::size_t out_features) {
  Tensor<T> W = randn<T>({out_features, in_features}), b = randn<T>({out_features});
  return Linear(std::move(W), std::move(b));
}

template <class T>
Shape Linear<T>::output_shape(const Shape& input) const {
  if (input.rank() == 0 || input.columns() != in_features())
    throw ShapeError("input has " + std::to_string(input.columns()) + " columns, " + std::to_string(in_features()) +
                     " expected (shape " + input.str() + ")");
  Shape output = input;
  output[-1] = out_features();
  return output;
}

template <class T>
std::string Linear<T>::extra_repr() const {
  return "in_features=" + std::to_string(in_features()) + ", out_features=" + std::to_string(out_features()) +
         ", bias=" + (has_bias() ? "True" : "False");
}

template <class T>
std::string Linear<T>::label() const {
  return "Linear(" + std::to_string(in_features()) + " → " + std::to_string(out_features()) + ")";
}

template <class T>
trace::Derivation Linear<T>::derivation(const Shape&) const {
  using trace::Why;
  const Why weighed{"Neuron o weighs all inputs of example n with its own row of W" +
                    std::string(has_bias() ? ", and adds its bias." : ".")};
  trace::Derivation d{.backward = {{"dW = δᵀ·x", "dW[o,i] = sum(n: δ[n,o]·x[n,i])",
                                    Why{"Wₒᵢ is in yₙₒ of every example n, with the factor xₙᵢ: so each example adds "
                                        "δₙₒ·xₙᵢ."}}},
                      .rename = {{"weight", "W"}, {"bias", "b"}}};
  if (has_bias()) {
    d.forward.emplace_back("y = x·Wᵀ + b", "y[n,o] = sum(i: x[n,i]·W[o,i]) + b[o]", weighed);
    d.backward.emplace_back("db = Σₙ δₙ", "db[o] = sum(n: δ[n,o])",
                            Why{"bₒ is in yₙₒ of every example n, with the factor 1: so each example adds its δₙₒ."});
  } else {
    d.forward.emplace_back("y = x·Wᵀ", "y[n,o] = sum(i: x[n,i]·W[o,i])", weighed);
  }
  d.backward.emplace_back(
      "dx = δ·W", "dx[n,i] = sum(o: δ[n,o]·W[o,i])",
      Why{"xₙᵢ is in every yₙₒ of its example, with the factor Wₒᵢ: so all neurons send their δ back over "
          "their weight. For the layer before, this is δ."});
  return d;
}

template class Linear<float>;
template class Linear<double>;

}  // namespace handgrad
