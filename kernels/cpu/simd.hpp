#pragma once
// Loops over contiguous elements with xsimd. The last, incomplete batch goes through the same SIMD function as all
// others, by way of a padded copy: an element's value does not depend on its place.
#include <cstddef>
#include <cstring>
#include <xsimd/xsimd.hpp>

namespace handgrad::kernels::cpu {

template <class T>
using Batch = xsimd::batch<T>;

template <class T>
inline Batch<T> load(const T* p) {
  return Batch<T>::load_unaligned(p);
}

template <class T>
inline Batch<T> load_part(const T* p, std::size_t n) {
  alignas(64) T padded[Batch<T>::size] = {};
  std::memcpy(padded, p, n * sizeof(T));
  return Batch<T>::load_aligned(padded);
}

template <class T>
inline void store_part(Batch<T> v, T* p, std::size_t n) {
  alignas(64) T padded[Batch<T>::size];
  v.store_aligned(padded);
  std::memcpy(p, padded, n * sizeof(T));
}

/// out[i] = f(in[i]…) for i < n; f takes and gives batches. out may be one of the inputs.
template <class T, class F, class... In>
inline void map(std::size_t n, T* out, F f, const In*... in) {
  constexpr std::size_t w = Batch<T>::size;
  std::size_t i = 0;
  for (; i + w <= n; i += w) f(load(in + i)...).store_unaligned(out + i);
  if (i < n) store_part(f(load_part(in + i, n - i)...), out + i, n - i);
}

/// `sum<T>(n, f, in…)` = Σ f(in[i]…), in double, in four independent sums whose order depends on n only.
template <class T, class F, class... In>
inline double sum(std::size_t n, F f, const In*... in) {
  constexpr std::size_t w = Batch<T>::size;
  double sums[4] = {};
  alignas(64) T values[w];
  std::size_t i = 0;
  const auto add = [&](Batch<T> v, std::size_t count) {
    v.store_aligned(values);
    for (std::size_t j = 0; j < count; ++j) sums[j & 3] += static_cast<double>(values[j]);
  };
  for (; i + w <= n; i += w) add(f(load(in + i)...), w);
  if (i < n) add(f(load_part(in + i, n - i)...), n - i);
  return (sums[0] + sums[1]) + (sums[2] + sums[3]);
}

/// y = y + a·x, rounded once where the processor can
template <class T>
inline void axpy(std::size_t n, T a, const T* x, T* y) {
  const Batch<T> factor(a);
  map(
      n, y, [=](Batch<T> xi, Batch<T> yi) { return xsimd::fma(factor, xi, yi); }, x, y);
}

}  // namespace handgrad::kernels::cpu
