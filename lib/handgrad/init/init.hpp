#pragma once
// Initial values of weights, as torch.nn.init: in place, with PyTorch's defaults and, for the same seed, its numbers.
//
//     init::kaiming_normal_(linear.weight.value(), {.nonlinearity = "relu"});
#include <string>

#include "handgrad/base/random.hpp"
#include "handgrad/base/tensor.hpp"

namespace handgrad::init {

/// Fills x with 0.
template <class T>
Tensor<T>& zeros_(Tensor<T>& x) {
  return x.fill(T(0));
}
/// Fills x with 1.
template <class T>
Tensor<T>& ones_(Tensor<T>& x) {
  return x.fill(T(1));
}
/// Fills x with val.
template <class T>
Tensor<T>& constant_(Tensor<T>& x, double val) {
  return x.fill(static_cast<T>(val));
}
/// xᵢ ~ N(mean, std²)
template <class T>
Tensor<T>& normal_(Tensor<T>& x, double mean = 0, double std = 1, Generator& generator = default_generator()) {
  return handgrad::normal_(x, mean, std, generator);
}
/// xᵢ ~ U[a, b)
template <class T>
Tensor<T>& uniform_(Tensor<T>& x, double a = 0, double b = 1, Generator& generator = default_generator()) {
  return handgrad::uniform_(x, a, b, generator);
}

/// The factor by which weights must be larger because an activation function shrinks its input: 1 for linear and
/// sigmoid, 5/3 for tanh, √2 for relu, √(2/(1+a²)) for leaky_relu with negative slope a, 3/4 for selu. Throws
/// ValueError for any other name.
double calculate_gain(const std::string& nonlinearity, double a = 0.01);

/// Glorot and Bengio 2010: the variance 2·gain²/(fan_in + fan_out) is a compromise between keeping that of the
/// activations in the forward and that of the gradients in the backward. For a weight (out×in…), fan_in and fan_out are
/// in and out times the elements of the dimensions after them. U(−b, b) with b = √3·std, or N(0, std²). Throws
/// ShapeError for a tensor of fewer than 2 dimensions.
template <class T>
Tensor<T>& xavier_uniform_(Tensor<T>& x, double gain = 1, Generator& generator = default_generator());
template <class T>
Tensor<T>& xavier_normal_(Tensor<T>& x, double gain = 1, Generator& generator = default_generator());

/// The options of kaiming_uniform_ and kaiming_normal_.
struct KaimingOptions {
  double a = 0;                 ///< the negative slope of leaky_relu
  std::string mode = "fan_in";  ///< keeps the variance of activations; "fan_out" that of gradients
  std::string nonlinearity = "leaky_relu";
};

/// He et al. 2015: std = gain/√fan, U(−b, b) with b = √3·std, or N(0, std²). Throws ShapeError as above, and ValueError
/// for another mode or nonlinearity.
template <class T>
Tensor<T>& kaiming_uniform_(Tensor<T>& x, const KaimingOptions& options = {},
                            Generator& generator = default_generator());
template <class T>
Tensor<T>& kaiming_normal_(Tensor<T>& x, const KaimingOptions& options = {},
                           Generator& generator = default_generator());

}  // namespace handgrad::init
