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

// dz = δ ∘ f′(z); z is not read if f′ follows from the output
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

namespace {

template <class T>
struct Channels {
  const T *z, *a;
  std::size_t count, inner;
  Channels(Lines<const T> lines, Vector<const T> slopes)
      : z(lines.data), a(slopes.data), count(lines.size), inner(lines.inner) {}
  __device__ T slope(std::size_t i) const { return a[i / inner % count]; }
};
template <class T>
struct PReLUValue {
  Channels<T> in;
  __device__ T operator()(std::size_t i) const { return formulas::PReLU::value(in.z[i], in.slope(i)); }
};
template <class T>
struct PReLUChain {
  Channels<T> in;
  const T* dy;
  __device__ T operator()(std::size_t i) const { return dy[i] * formulas::PReLU::derivative(in.z[i], in.slope(i)); }
};

// da_c: one block per channel
template <class T>
__global__ void __launch_bounds__(threads)
    prelu_slope_kernel(Channels<T> in, std::size_t per_channel, const T* dy, T beta, T* da) {
  const Group<threads> block;
  for (std::size_t c = blockIdx.x; c < in.count; c += gridDim.x) {
    double sum = 0;
    for (std::size_t k = threadIdx.x; k < per_channel; k += threads) {
      const std::size_t i = (k / in.inner * in.count + c) * in.inner + k % in.inner;
      sum += static_cast<double>(formulas::PReLU::of_slope(dy[i], in.z[i]));
    }
    sum = block.sum(sum);
    if (threadIdx.x == 0) da[c] = static_cast<T>(sum) + (beta == T(0) ? T(0) : da[c]);
  }
}

}  // namespace

// y = z for z > 0, else a_c·z
template <class D, class T>
void ActivationsOn<D, T>::prelu_forward(Lines<const T> z, Vector<const T> a, Vector<T> y) {
  const auto guard = device_.use();
  map_index(device_, y.size, y.data, PReLUValue<T>{Channels<T>(z, a)});
}

// da_c = Σ δ·min(z, 0) over the channel;  dz = δ for z > 0, else a_c·δ
template <class D, class T>
void ActivationsOn<D, T>::prelu_backward(Lines<const T> z, Vector<const T> a, Vector<const T> dy, Vector<T> dz,
                                         Gradient<T> da) {
  const auto guard = device_.use();
  const Channels<T> in(z, a);
  if (da)
    device_.launch(prelu_slope_kernel<T>, row_blocks<threads>(device_, in.count), threads, in, z.outer * z.inner,
                   dy.data, da.beta, da.data);
  if (dz) map_index(device_, dz.size, dz.data, PReLUChain<T>{in, dy.data});
}

template class ActivationsOn<cuda::Context, float>;
template class ActivationsOn<cuda::Context, double>;

}  // namespace handgrad::kernels
