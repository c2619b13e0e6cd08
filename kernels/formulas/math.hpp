#pragma once
// What formulas may use. A formula is written once, for a value type V that is a number (on the host and in CUDA code)
// or a SIMD batch of numbers: abs, sqrt … are found by argument-dependent lookup for batches and in std for numbers.
// The CPU's kernels use their own exp, log, …, CUDA code those of its library.
#include <cmath>
#include <type_traits>
#ifdef HANDGRAD_CPU_SET
#include "kernels/formulas/elementary.hpp"
#endif

#ifdef __CUDACC__
#define HANDGRAD_HOST_DEVICE __host__ __device__
#else
#define HANDGRAD_HOST_DEVICE
#endif

namespace handgrad::formulas {

using std::abs;
using std::sqrt;
#ifdef HANDGRAD_CPU_SET
using elementary::erf;
using elementary::exp;
using elementary::expm1;
using elementary::log;
using elementary::log1p;
using elementary::max;
using elementary::min;
using elementary::tanh;
#else
using std::erf;
using std::exp;
using std::expm1;
using std::log;
using std::log1p;
using std::tanh;

/// The smaller and the larger of two; b where one is NaN or both are 0.
template <class T>
HANDGRAD_HOST_DEVICE inline T min(T a, T b) {
  return a < b ? a : b;
}
template <class T>
HANDGRAD_HOST_DEVICE inline T max(T a, T b) {
  return a > b ? a : b;
}
#endif

/// c ? a : b, element by element.
template <class T>
HANDGRAD_HOST_DEVICE inline T select(bool c, T a, T b) {
  return c ? a : b;
}

namespace detail {
template <class V, class = void>
struct Scalar {
  using type = V;
};
template <class V>
struct Scalar<V, std::void_t<typename V::value_type>> {
  using type = typename V::value_type;
};
}  // namespace detail

/// The number c as a V.
template <class V>
HANDGRAD_HOST_DEVICE inline V constant(double c) {
  return V(static_cast<typename detail::Scalar<V>::type>(c));
}

}  // namespace handgrad::formulas
