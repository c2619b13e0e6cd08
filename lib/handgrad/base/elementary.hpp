#pragma once
// The logarithm, sine and cosine that random numbers are made with. They are written here, in IEEE operations alone, so
// that the same seed gives the same bits whatever C library the program runs with.

namespace handgrad::detail {

/// log x for a normal x > 0 (−∞ for 0), within 0.55 of a unit in the last place.
double elementary_log(double x);

/// sin θ and cos θ for 0 ≤ θ ≤ 2π, within 0.7 of a unit in the last place; near the zeros of sin and cos, where it is
/// the double nearest to a multiple of π/2 that counts, within 1.
struct SinCos {
  double sin, cos;
};
SinCos elementary_sin_cos(double theta);

}  // namespace handgrad::detail
