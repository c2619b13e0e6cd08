#pragma once
// The maximum and the sum that softmax and its losses need.
#include <array>
#include <cstddef>

#include "kernels/cpu/simd.hpp"
#include "kernels/formulas/softmax.hpp"

namespace handgrad::kernels::cpu {

/// m = max z and Σ e^(z−m) − 1, as in kernels/formulas/softmax.hpp.
template <class T>
struct LineSum {
  T m, beyond_one;
};

/// z: n elements, as an address or Strided.
template <class T, class In>
LineSum<T> line_sum(In z, std::size_t n) {
  const T m = maximum<T>(n, z);
  const Batch<T> top(m), zero(T(0)), one(T(1));
  const auto [equal, others] = sums<T, 2>(
      n,
      [=](Batch<T> v) {
        const auto is_top = v == top;
        return std::array<Batch<T>, 2>{select(is_top, one, zero), select(is_top, zero, exp(v - top))};
      },
      z);
  return {m, formulas::sum_beyond_one(m, static_cast<T>(equal), static_cast<T>(others))};
}

/// z − m, and 0 for m itself, as in kernels/formulas/softmax.hpp.
template <class T>
Batch<T> below(Batch<T> z, Batch<T> m) {
  return select(z == m, Batch<T>(T(0)), z - m);
}

}  // namespace handgrad::kernels::cpu
