#pragma once
// Softmax of a line z₁ … zₙ, and its logarithm: with m = max z, nothing overflows:
//
//     yⱼ = e^(zⱼ−m)/Σ,   log yⱼ = (zⱼ − m) − log Σ,   Σ = Σₖ e^(zₖ−m)
//
// zⱼ − m is exact for zⱼ near m, and log Σ at most log n: they are kept separate, since m + log Σ would be rounded at
// the magnitude of m. Elements that equal m are counted apart from the sum of the others, which may be small compared
// with 1: log Σ = log1p(Σ − 1).
//
// A line with one +∞ has a limit, (0, …, 1, …, 0). A line with several, or with nothing but −∞, has none: NaN.
#include "kernels/formulas/math.hpp"

namespace handgrad::formulas {

/// z − m; 0 for z = m, even if infinite.
template <class T>
HANDGRAD_HOST_DEVICE inline T below(T z, T m) {
  return z == m ? T(0) : z - m;
}

/// Σ − 1, from the number of elements that equal m and Σ e^(z−m) over the others.
template <class T>
HANDGRAD_HOST_DEVICE inline T sum_beyond_one(T m, T equal, T others) {
  const bool finite = m - m == T(0);
  return finite || (m > T(0) && equal == T(1)) ? (equal - T(1)) + others : m - m;
}

/// dzᵢ = δᵢ − e^(yᵢ)·Σⱼ δⱼ, for y = log softmax z. For y near 0 both may have the same digits, as in the δ of NLLLoss
/// for a class that is almost sure; so e^y − 1 is kept apart there.
template <class V>
HANDGRAD_HOST_DEVICE inline V log_softmax_gradient(V y, V delta, V total) {
  return select(y > constant<V>(-0.5), (delta - total) - expm1(y) * total, delta - exp(y) * total);
}

}  // namespace handgrad::formulas
