#pragma once
// What softmax and its losses need of a line.
#include <algorithm>
#include <cmath>
#include <cstddef>

#include "kernels/formulas/softmax.hpp"

namespace handgrad::kernels::cpu {

/// m = max z and Σ e^(z−m) − 1, as kernels/formulas/softmax.hpp has it.
template <class T>
struct LineSum {
  T m, beyond_one;
};

template <class T>
LineSum<T> line_sum(const T* z, std::size_t step, std::size_t n) {
  T m = z[0], equal = 0;
  for (std::size_t j = 1; j < n; ++j) m = std::max(m, z[j * step]);
  double others = 0;
  for (std::size_t j = 0; j < n; ++j) {
    if (z[j * step] == m)
      equal += 1;
    else
      others += static_cast<double>(std::exp(z[j * step] - m));
  }
  return {m, formulas::sum_beyond_one(m, equal, static_cast<T>(others))};
}

}  // namespace handgrad::kernels::cpu
