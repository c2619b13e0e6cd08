#include "kernels/softmax.hpp"

#include <cmath>

#include "kernels/cpu/cpu.hpp"
#include "kernels/cpu/line_sum.hpp"

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
    const auto [m, beyond_one] = line_sum(in, step, n);
    const T sum = T(1) + beyond_one;
    for (std::size_t j = 0; j < n; ++j) out[j * step] = std::exp(formulas::below(in[j * step], m)) / sum;
  });
}

// dzᵢ = yᵢ(δᵢ − Σⱼ δⱼyⱼ)
template <class D, class T>
void SoftmaxOn<D, T>::backward(Lines<const T> y, Lines<const T> dy, Lines<T> dz) {
  for_each_line(y, [&](std::size_t at, std::size_t step, std::size_t n) {
    const T *out = y.data + at, *delta = dy.data + at;
    double total = 0;
    for (std::size_t j = 0; j < n; ++j)
      total += static_cast<double>(delta[j * step]) * static_cast<double>(out[j * step]);
    const T sum = static_cast<T>(total);
    for (std::size_t j = 0; j < n; ++j) dz.data[at + j * step] = out[j * step] * (delta[j * step] - sum);
  });
}

// yⱼ = (zⱼ−m) − log Σₖ e^(zₖ−m),  m = max z
template <class D, class T>
void SoftmaxOn<D, T>::log_forward(Lines<const T> z, Lines<T> y) {
  for_each_line(z, [&](std::size_t at, std::size_t step, std::size_t n) {
    const T* in = z.data + at;
    const auto [m, beyond_one] = line_sum(in, step, n);
    const T log_sum = std::log1p(beyond_one);
    for (std::size_t j = 0; j < n; ++j) y.data[at + j * step] = formulas::below(in[j * step], m) - log_sum;
  });
}

// dzᵢ = δᵢ − e^(yᵢ)·Σⱼ δⱼ
template <class D, class T>
void SoftmaxOn<D, T>::log_backward(Lines<const T> y, Lines<const T> dy, Lines<T> dz) {
  for_each_line(y, [&](std::size_t at, std::size_t step, std::size_t n) {
    const T *out = y.data + at, *delta = dy.data + at;
    double total = 0;
    for (std::size_t j = 0; j < n; ++j) total += static_cast<double>(delta[j * step]);
    const T sum = static_cast<T>(total);
    for (std::size_t j = 0; j < n; ++j) dz.data[at + j * step] = delta[j * step] - std::exp(out[j * step]) * sum;
  });
}

template class SoftmaxOn<cpu::Cpu, float>;
template class SoftmaxOn<cpu::Cpu, double>;

}  // namespace handgrad::kernels
