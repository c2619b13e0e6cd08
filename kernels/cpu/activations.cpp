#include "kernels/activations.hpp"

#include <algorithm>
#include <variant>

#include "kernels/cpu/cpu.hpp"
#include "kernels/cpu/scratch.hpp"
#include "kernels/cpu/simd.hpp"
#include "kernels/cpu/threads.hpp"

namespace handgrad::kernels {

using namespace cpu;

static constexpr double cycles = 1;  // of an element: some more where there is an e^z, less where there is none

// y = f(z)
template <class D, class T>
void ActivationsOn<D, T>::forward(const formulas::Activation& f, Vector<const T> z, Vector<T> y) {
  std::visit(
      [&](const auto& g) {
        in_ranges(y.size, cycles, 64, [&](std::size_t first, std::size_t last) {
          map(
              last - first, y.data + first, [=](Batch<T> v) { return g.value(v); }, z.data + first);
        });
      },
      f);
}

// dz = δ ∘ f′(z)
template <class D, class T>
void ActivationsOn<D, T>::backward(const formulas::Activation& f, Vector<const T> z, Vector<const T> y,
                                   Vector<const T> dy, Vector<T> dz) {
  const auto derivative = [](const auto& g) {
    return [g](Batch<T> delta, Batch<T> in, Batch<T> out) { return delta * g.derivative(in, out); };
  };
  std::visit(
      [&](const auto& g) {
        in_ranges(dz.size, cycles, 64, [&](std::size_t first, std::size_t last) {
          map(last - first, dz.data + first, derivative(g), dy.data + first, z.data + first, y.data + first);
        });
      },
      f);
}

// y = z for z > 0, else a_c·z
template <class D, class T>
void ActivationsOn<D, T>::prelu_forward(Lines<const T> z, Vector<const T> a, Vector<T> y) {
  using V = Batch<T>;
  const std::size_t channels = z.size, inner = z.inner;
  for (std::size_t o = 0; o < z.outer; ++o) {
    const std::size_t row = o * channels * inner;
    if (inner == 1)
      map(
          channels, y.data + row, [](V v, V k) { return formulas::PReLU::value(v, k); }, z.data + row, a.data);
    else
      for (std::size_t c = 0; c < channels; ++c)
        map(
            inner, y.data + row + c * inner, [k = V(a.data[c])](V v) { return formulas::PReLU::value(v, k); },
            z.data + row + c * inner);
  }
}

// da_c = Σ δ·min(z, 0) over the channel, in double;  dz = δ for z > 0, else a_c·δ
template <class D, class T>
void ActivationsOn<D, T>::prelu_backward(Lines<const T> z, Vector<const T> a, Vector<const T> dy, Vector<T> dz,
                                         Gradient<T> da) {
  using V = Batch<T>;
  const std::size_t channels = z.size, inner = z.inner;
  if (da) {
    double* sums = scratch<double>(channels);
    std::fill_n(sums, channels, 0.0);
    for (std::size_t line = 0; line < z.outer * channels; ++line) {
      const T *in = z.data + line * inner, *delta = dy.data + line * inner;
      sums[line % channels] += inner == 1
                                   ? static_cast<double>(formulas::PReLU::of_slope(*delta, *in))
                                   : sum<T>(
                                         inner, [](V d, V v) { return formulas::PReLU::of_slope(d, v); }, delta, in);
    }
    for (std::size_t c = 0; c < channels; ++c)
      da.data[c] = static_cast<T>(sums[c]) + (da.beta == T(0) ? T(0) : da.data[c]);
  }
  if (!dz) return;
  for (std::size_t o = 0; o < z.outer; ++o) {
    const std::size_t row = o * channels * inner;
    if (inner == 1)
      map(
          channels, dz.data + row, [](V d, V v, V k) { return d * formulas::PReLU::derivative(v, k); }, dy.data + row,
          z.data + row, a.data);
    else
      for (std::size_t c = 0; c < channels; ++c)
        map(
            inner, dz.data + row + c * inner,
            [k = V(a.data[c])](V d, V v) { return d * formulas::PReLU::derivative(v, k); }, dy.data + row + c * inner,
            z.data + row + c * inner);
  }
}

template class ActivationsOn<cpu::Cpu, float>;
template class ActivationsOn<cpu::Cpu, double>;

}  // namespace handgrad::kernels
