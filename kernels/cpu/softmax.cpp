#include "kernels/softmax.hpp"

#include "kernels/cpu/cpu.hpp"
#include "kernels/cpu/line_sum.hpp"
#include "kernels/cpu/threads.hpp"

namespace handgrad::kernels {

using namespace cpu;

namespace {

// Calls f(n, line…) for each line of each tensor; a line is an address where its elements are contiguous.
template <class F, class... T>
void for_each_line(std::size_t outer, std::size_t n, std::size_t inner, F f, T*... data) {
  in_ranges(outer * inner, 100 + 3 * static_cast<double>(n), 1, [&](std::size_t first, std::size_t last) {
    for (std::size_t line = first; line < last; ++line) {
      const std::size_t at = line / inner * n * inner + line % inner;
      if (inner == 1)
        f(n, data + at...);
      else
        f(n, Strided<T>{data + at, inner}...);
    }
  });
}

}  // namespace

// yⱼ = e^(zⱼ−m) / Σₖ e^(zₖ−m),  m = max z
template <class D, class T>
void SoftmaxOn<D, T>::forward(Lines<const T> z, Lines<T> y) {
  using V = Batch<T>;
  for_each_line(
      z.outer, z.size, z.inner,
      [](std::size_t n, auto out, auto in) {
        const auto [m, beyond_one] = line_sum<T>(in, n);
        map(
            n, out, [m = V(m), sum = V(T(1) + beyond_one)](V v) { return exp(below(v, m)) / sum; }, in);
      },
      y.data, z.data);
}

// dzᵢ = yᵢ(δᵢ − Σⱼ δⱼyⱼ)
template <class D, class T>
void SoftmaxOn<D, T>::backward(Lines<const T> y, Lines<const T> dy, Lines<T> dz) {
  using V = Batch<T>;
  for_each_line(
      y.outer, y.size, y.inner,
      [](std::size_t n, auto to, auto out, auto delta) {
        const V dot(static_cast<T>(sum<T>(
            n, [](V a, V b) { return a * b; }, delta, out)));
        map(
            n, to, [=](V a, V b) { return b * (a - dot); }, delta, out);
      },
      dz.data, y.data, dy.data);
}

// yⱼ = (zⱼ−m) − log Σₖ e^(zₖ−m),  m = max z
template <class D, class T>
void SoftmaxOn<D, T>::log_forward(Lines<const T> z, Lines<T> y) {
  using V = Batch<T>;
  for_each_line(
      z.outer, z.size, z.inner,
      [](std::size_t n, auto out, auto in) {
        const auto [m, beyond_one] = line_sum<T>(in, n);
        map(
            n, out, [m = V(m), log_sum = V(log1p(beyond_one))](V v) { return below(v, m) - log_sum; }, in);
      },
      y.data, z.data);
}

// dzᵢ = δᵢ − e^(yᵢ)·Σⱼ δⱼ
template <class D, class T>
void SoftmaxOn<D, T>::log_backward(Lines<const T> y, Lines<const T> dy, Lines<T> dz) {
  using V = Batch<T>;
  for_each_line(
      y.outer, y.size, y.inner,
      [](std::size_t n, auto to, auto out, auto delta) {
        const V total(static_cast<T>(sum<T>(
            n, [](V a) { return a; }, delta)));
        map(
            n, to, [=](V a, V b) { return formulas::log_softmax_gradient(b, a, total); }, delta, out);
      },
      dz.data, y.data, dy.data);
}

template class SoftmaxOn<cpu::Cpu, float>;
template class SoftmaxOn<cpu::Cpu, double>;

}  // namespace handgrad::kernels
