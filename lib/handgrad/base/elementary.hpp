#pragma once
// Elementary functions for random numbers, data and learning rates, written in IEEE operations alone, so that a seed
// gives the same bits whatever C library the program runs with.

namespace handgrad::detail {

/// log x for a normal x > 0 (−∞ for 0), within 0.55 units in the last place.
double elementary_log(double x);

/// eˣ and log(1+x), as in the CPU's kernels: kernels/formulas/elementary.hpp.
double elementary_exp(double x);
double elementary_log1p(double x);

/// 1 − erf x, within 4 units in the last place, also where erf x is nearly 1.
double elementary_erfc(double x);

/// xʸ for x ≥ 0, within 1.5 units in the last place while |y·log x| < 100.
double elementary_pow(double x, double y);

/// sin θ and cos θ. For 0 ≤ θ ≤ 2π within 0.7 units in the last place; within 1 near the zeros of sin and cos, at the
/// double nearest to a multiple of π/2. For |θ| < 10⁶ within 2⁻⁵².
struct SinCos {
  double sin, cos;
};
SinCos elementary_sin_cos(double theta);
inline double elementary_sin(double theta) { return elementary_sin_cos(theta).sin; }
inline double elementary_cos(double theta) { return elementary_sin_cos(theta).cos; }

}  // namespace handgrad::detail
