#pragma once
// The sums over a line for softmax and its losses.
#include "kernels/cuda/device.hpp"
#include "kernels/formulas/softmax.hpp"

namespace handgrad::kernels::cuda {

/// m = max z and Σ e^(z−m) − 1, as in kernels/formulas/softmax.hpp.
template <class T>
struct LineSum {
  T m, beyond_one;
};

/// Thread `g.lane` of `g.lanes` works on every lanes-th element; g.at(j) is the position of element j, and g.sum and
/// g.max reduce over all lanes.
template <class T, class G>
__device__ inline LineSum<T> line_sum(const G& g, std::size_t n, const T* z) {
  T m = z[g.at(0)], equal = 0;
  double others = 0;
  for (std::size_t j = g.lane; j < n; j += g.lanes) m = Maximum()(m, z[g.at(j)]);
  m = g.max(m);
  for (std::size_t j = g.lane; j < n; j += g.lanes) {
    const T v = z[g.at(j)];
    if (v == m)
      equal += T(1);
    else
      others += static_cast<double>(formulas::exp(v - m));
  }
  equal = g.sum(equal);
  return {m, formulas::sum_beyond_one(m, equal, static_cast<T>(g.sum(others)))};
}

/// A line of contiguous elements, for a group of threads.
template <unsigned G>
struct Row {
  Group<G> group;
  std::size_t lane = group.lane;
  static constexpr std::size_t lanes = G;
  __device__ static std::size_t at(std::size_t j) { return j; }
  template <class T>
  __device__ T sum(T v) const {
    return group.sum(v);
  }
  template <class T>
  __device__ T max(T v) const {
    return group.max(v);
  }
};

}  // namespace handgrad::kernels::cuda
