#include "handgrad/init/init.hpp"

#include <cmath>

#include "handgrad/base/errors.hpp"

namespace handgrad::init {

namespace {

struct Fans {
  double in, out;
};

template <class T>
Fans fans(const char* name, const Tensor<T>& x) {
  if (x.rank() < 2 || x.numel() == 0)
    throw ShapeError(std::string(name) + ": a weight of shape (out, in) or more dimensions expected, one of shape " +
                     x.shape().str() + " came");
  const double each = static_cast<double>(x.numel()) / static_cast<double>(x.size(0) * x.size(1));
  return {static_cast<double>(x.size(1)) * each, static_cast<double>(x.size(0)) * each};
}

double xavier_std(const Fans& fan, double gain) { return gain * std::sqrt(2.0 / (fan.in + fan.out)); }

double kaiming_std(const Fans& fan, const KaimingOptions& options) {
  if (options.mode != "fan_in" && options.mode != "fan_out")
    throw ValueError("kaiming: mode is 'fan_in' or 'fan_out', '" + options.mode + "' came");
  return calculate_gain(options.nonlinearity, options.a) / std::sqrt(options.mode == "fan_in" ? fan.in : fan.out);
}

template <class T>
Tensor<T>& uniform_of(Tensor<T>& x, double std, Generator& generator) {
  const double bound = std::sqrt(3.0) * std;
  return handgrad::uniform_(x, -bound, bound, generator);
}

}  // namespace

double calculate_gain(const std::string& nonlinearity, double a) {
  if (nonlinearity == "linear" || nonlinearity == "sigmoid") return 1;
  if (nonlinearity == "tanh") return 5.0 / 3;
  if (nonlinearity == "relu") return std::sqrt(2.0);
  if (nonlinearity == "leaky_relu") return std::sqrt(2.0 / (1 + a * a));
  if (nonlinearity == "selu") return 3.0 / 4;
  throw ValueError("calculate_gain: nonlinearity is linear, sigmoid, tanh, relu, leaky_relu or selu, '" + nonlinearity +
                   "' came");
}

template <class T>
Tensor<T>& xavier_uniform_(Tensor<T>& x, double gain, Generator& generator) {
  return uniform_of(x, xavier_std(fans("xavier_uniform_", x), gain), generator);
}

template <class T>
Tensor<T>& xavier_normal_(Tensor<T>& x, double gain, Generator& generator) {
  return handgrad::normal_(x, 0, xavier_std(fans("xavier_normal_", x), gain), generator);
}

template <class T>
Tensor<T>& kaiming_uniform_(Tensor<T>& x, const KaimingOptions& options, Generator& generator) {
  return uniform_of(x, kaiming_std(fans("kaiming_uniform_", x), options), generator);
}

template <class T>
Tensor<T>& kaiming_normal_(Tensor<T>& x, const KaimingOptions& options, Generator& generator) {
  return handgrad::normal_(x, 0, kaiming_std(fans("kaiming_normal_", x), options), generator);
}

#define HANDGRAD_INSTANTIATE(T)                                                        \
  template Tensor<T>& xavier_uniform_(Tensor<T>&, double, Generator&);                 \
  template Tensor<T>& xavier_normal_(Tensor<T>&, double, Generator&);                  \
  template Tensor<T>& kaiming_uniform_(Tensor<T>&, const KaimingOptions&, Generator&); \
  template Tensor<T>& kaiming_normal_(Tensor<T>&, const KaimingOptions&, Generator&);
HANDGRAD_INSTANTIATE(float)
HANDGRAD_INSTANTIATE(double)
#undef HANDGRAD_INSTANTIATE

}  // namespace handgrad::init
