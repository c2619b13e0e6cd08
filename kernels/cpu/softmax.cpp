#include "kernels/softmax.hpp"

#include <algorithm>
#include <cmath>

#include "kernels/cpu/cpu.hpp"

namespace handgrad::kernels {

using namespace cpu;

namespace {

// Runs f(offset of the first element, distance between elements, number of elements) for each line.
template <class T, class F>
void for_each_line(const Lines<T>& lines, F&& f) {
  for (std::size_t o = 0; o < lines.outer; ++o)
    for (std::size_t i = 0; i < lines.inner; ++i) f(o * lines.size * lines.inner + i, lines.inner, lines.size);
}

}  // namespace

// yⱼ = e^(zⱼ−m) / Σₖ e^(zₖ−m),  m = max z
template <class D, class T>
void SoftmaxOn<D, T>::forward(Lines<const T> z, Lines<T> y) {
  for_each_line(z, [&](std::size_t at, std::size_t step, std::size_t n) {
    const T* in = z.data + at;
    T* out = y.data + at;
    T m = in[0], sum = 0;
    for (std::size_t j = 1; j < n; ++j) m = std::max(m, in[j * step]);
    for (std::size_t j = 0; j < n; ++j) sum += out[j * step] = std::exp(in[j * step] - m);
    for (std::size_t j = 0; j < n; ++j) out[j * step] /= sum;
  });
}

// dzᵢ = yᵢ(δᵢ − Σⱼ δⱼyⱼ)
template <class D, class T>
void SoftmaxOn<D, T>::backward(Lines<const T> y, Lines<const T> dy, Lines<T> dz) {
  for_each_line(y, [&](std::size_t at, std::size_t step, std::size_t n) {
    const T *out = y.data + at, *delta = dy.data + at;
    T sum = 0;
    for (std::size_t j = 0; j < n; ++j) sum += delta[j * step] * out[j * step];
    for (std::size_t j = 0; j < n; ++j) dz.data[at + j * step] = out[j * step] * (delta[j * step] - sum);
  });
}

// yⱼ = (zⱼ−m) − log Σₖ e^(zₖ−m),  m = max z
template <class D, class T>
void SoftmaxOn<D, T>::log_forward(Lines<const T> z, Lines<T> y) {
  for_each_line(z, [&](std::size_t at, std::size_t step, std::size_t n) {
    const T* in = z.data + at;
    T m = in[0], sum = 0;
    for (std::size_t j = 1; j < n; ++j) m = std::max(m, in[j * step]);
    for (std::size_t j = 0; j < n; ++j) sum += std::exp(in[j * step] - m);
    const T log_sum = std::log(sum);
    for (std::size_t j = 0; j < n; ++j) y.data[at + j * step] = (in[j * step] - m) - log_sum;
  });
}

// dzᵢ = δᵢ − e^(yᵢ)·Σⱼ δⱼ
template <class D, class T>
void SoftmaxOn<D, T>::log_backward(Lines<const T> y, Lines<const T> dy, Lines<T> dz) {
  for_each_line(y, [&](std::size_t at, std::size_t step, std::size_t n) {
    const T *out = y.data + at, *delta = dy.data + at;
    T sum = 0;
    for (std::size_t j = 0; j < n; ++j) sum += delta[j * step];
    for (std::size_t j = 0; j < n; ++j) dz.data[at + j * step] = delta[j * step] - std::exp(out[j * step]) * sum;
  });
}

template class SoftmaxOn<cpu::Cpu, float>;
template class SoftmaxOn<cpu::Cpu, double>;

}  // namespace handgrad::kernels
