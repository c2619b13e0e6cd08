#include <algorithm>
#include <cmath>
#include <variant>

#include "kernels/cpu/backend.hpp"
#include "kernels/cpu/simd.hpp"

namespace handgrad::kernels::cpu {

// y = f(z)
template <class T>
void CpuBackend<T>::activation_forward(const A& f, const Tensor<T>& z, Tensor<T>& y) {
  std::visit(
      [&](const auto& g) {
        map(
            y.numel(), y.data(), [=](Batch<T> v) { return g.value(v); }, z.data());
      },
      f);
}

// dz = δ ∘ f′(z)
template <class T>
void CpuBackend<T>::activation_backward(const A& f, const Tensor<T>& z, const Tensor<T>& y, const Tensor<T>& dy,
                                        Tensor<T>& dz) {
  const auto derivative = [](const auto& g) {
    return [g](Batch<T> delta, Batch<T> in, Batch<T> out) { return delta * g.derivative(in, out); };
  };
  std::visit([&](const auto& g) { map(dz.numel(), dz.data(), derivative(g), dy.data(), z.data(), y.data()); }, f);
}

namespace {

// Runs f(offset of the first element, distance between elements, number of elements) for each line along dim.
template <class F>
void for_each_line(const Shape& shape, int dim, F&& f) {
  const Lines lines = lines_along(shape, dim);
  for (std::size_t o = 0; o < lines.outer; ++o)
    for (std::size_t i = 0; i < lines.inner; ++i) f(o * lines.size * lines.inner + i, lines.inner, lines.size);
}

}  // namespace

// yⱼ = e^(zⱼ−m) / Σₖ e^(zₖ−m),  m = max z
template <class T>
void CpuBackend<T>::softmax_forward(const Tensor<T>& z, int dim, Tensor<T>& y) {
  for_each_line(z.shape(), dim, [&](std::size_t at, std::size_t step, std::size_t n) {
    const T* in = z.data() + at;
    T* out = y.data() + at;
    T m = in[0], sum = 0;
    for (std::size_t j = 1; j < n; ++j) m = std::max(m, in[j * step]);
    for (std::size_t j = 0; j < n; ++j) sum += out[j * step] = std::exp(in[j * step] - m);
    for (std::size_t j = 0; j < n; ++j) out[j * step] /= sum;
  });
}

// dzᵢ = yᵢ(δᵢ − Σⱼ δⱼyⱼ)
template <class T>
void CpuBackend<T>::softmax_backward(const Tensor<T>& y, const Tensor<T>& dy, int dim, Tensor<T>& dz) {
  for_each_line(y.shape(), dim, [&](std::size_t at, std::size_t step, std::size_t n) {
    const T *out = y.data() + at, *delta = dy.data() + at;
    T sum = 0;
    for (std::size_t j = 0; j < n; ++j) sum += delta[j * step] * out[j * step];
    for (std::size_t j = 0; j < n; ++j) dz.data()[at + j * step] = out[j * step] * (delta[j * step] - sum);
  });
}

// yⱼ = (zⱼ−m) − log Σₖ e^(zₖ−m),  m = max z
template <class T>
void CpuBackend<T>::log_softmax_forward(const Tensor<T>& z, int dim, Tensor<T>& y) {
  for_each_line(z.shape(), dim, [&](std::size_t at, std::size_t step, std::size_t n) {
    const T* in = z.data() + at;
    T m = in[0], sum = 0;
    for (std::size_t j = 1; j < n; ++j) m = std::max(m, in[j * step]);
    for (std::size_t j = 0; j < n; ++j) sum += std::exp(in[j * step] - m);
    const T log_sum = std::log(sum);
    for (std::size_t j = 0; j < n; ++j) y.data()[at + j * step] = (in[j * step] - m) - log_sum;
  });
}

// dzᵢ = δᵢ − e^(yᵢ)·Σⱼ δⱼ
template <class T>
void CpuBackend<T>::log_softmax_backward(const Tensor<T>& y, const Tensor<T>& dy, int dim, Tensor<T>& dz) {
  for_each_line(y.shape(), dim, [&](std::size_t at, std::size_t step, std::size_t n) {
    const T *out = y.data() + at, *delta = dy.data() + at;
    T sum = 0;
    for (std::size_t j = 0; j < n; ++j) sum += delta[j * step];
    for (std::size_t j = 0; j < n; ++j) dz.data()[at + j * step] = delta[j * step] - std::exp(out[j * step]) * sum;
  });
}

#define HANDGRAD_INSTANTIATE(T)                                                                                    \
  template void CpuBackend<T>::activation_forward(const A&, const Tensor<T>&, Tensor<T>&);                         \
  template void CpuBackend<T>::activation_backward(const A&, const Tensor<T>&, const Tensor<T>&, const Tensor<T>&, \
                                                   Tensor<T>&);                                                    \
  template void CpuBackend<T>::softmax_forward(const Tensor<T>&, int, Tensor<T>&);                                 \
  template void CpuBackend<T>::softmax_backward(const Tensor<T>&, const Tensor<T>&, int, Tensor<T>&);              \
  template void CpuBackend<T>::log_softmax_forward(const Tensor<T>&, int, Tensor<T>&);                             \
  template void CpuBackend<T>::log_softmax_backward(const Tensor<T>&, const Tensor<T>&, int, Tensor<T>&);
HANDGRAD_INSTANTIATE(float)
HANDGRAD_INSTANTIATE(double)
#undef HANDGRAD_INSTANTIATE

}  // namespace handgrad::kernels::cpu
