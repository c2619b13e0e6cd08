#include "kernels/activations.hpp"

#include <variant>

#include "kernels/cuda/device.hpp"

namespace handgrad::kernels {

using namespace cuda;

namespace {

template <class F>
struct Value {
  F f;
  template <class T>
  __device__ T operator()(T z) const {
    return f.value(z);
  }
};
template <class F>
struct Chain {
  F f;
  template <class T>
  __device__ T operator()(T dy, T z, T y) const {
    return dy * f.derivative(z, y);
  }
};
template <class F>
struct ChainFromOutput {
  F f;
  template <class T>
  __device__ T operator()(T dy, T y) const {
    return dy * f.derivative(y, y);
  }
};

}  // namespace

// y = f(z)
template <class D, class T>
void ActivationsOn<D, T>::forward(const formulas::Activation& f, Vector<const T> z, Vector<T> y) {
  const auto guard = device_.use();
  std::visit([&](const auto& g) { map(device_, y.size, y.data, Value<std::decay_t<decltype(g)>>{g}, z.data); }, f);
}

// dz = δ ∘ f′(z); z is not read where the output tells f′
template <class D, class T>
void ActivationsOn<D, T>::backward(const formulas::Activation& f, Vector<const T> z, Vector<const T> y,
                                   Vector<const T> dy, Vector<T> dz) {
  const auto guard = device_.use();
  std::visit(
      [&](const auto& g) {
        using F = std::decay_t<decltype(g)>;
        if constexpr (F::from_output)
          map(device_, dz.size, dz.data, ChainFromOutput<F>{g}, dy.data, y.data);
        else
          map(device_, dz.size, dz.data, Chain<F>{g}, dy.data, z.data, y.data);
      },
      f);
}

template class ActivationsOn<cuda::Context, float>;
template class ActivationsOn<cuda::Context, double>;

}  // namespace handgrad::kernels
