#include "handgrad/base/elementary.hpp"

#include <bit>
#include <cmath>
#include <cstdint>
#include <initializer_list>
#include <limits>

#include "kernels/formulas/elementary.hpp"

namespace handgrad::detail {

// x = 2ᵉ·m with √½ < m ≤ √2, and log m = 2·artanh s = 2(s + s³/3 + s⁵/5 + …) for s = (m−1)/(m+1), |s| < 0.172.
// s is kept in two numbers, so that the rounding of the series does not matter.
namespace {

/// log x = high + low, |low| ≤ ½ ulp high.
struct Sum {
  double high, low;
};

Sum log_parts(double x) {
  const std::uint64_t bits = std::bit_cast<std::uint64_t>(x), sqrt_half = 0x3fe6a09e667f3bcdu;
  const std::int64_t e = static_cast<std::int64_t>(bits - sqrt_half) >> 52;
  const double m = std::bit_cast<double>(bits - (static_cast<std::uint64_t>(e) << 52));
  const double f = m - 1, d = f + 2, d_low = f - (d - 2);
  const double s = f / d, s_low = (std::fma(-s, d, f) - s * d_low) / d;
  const double z = s * s;
  double series = 1.0 / 25;
  for (int k = 23; k >= 3; k -= 2) series = std::fma(series, z, 1.0 / k);
  // log 2 in two numbers; the first is short enough for e times it to be exact
  constexpr double log2_high = 0x1.62e42fefa3800p-1, log2_low = 0x1.ef35793c76730p-45;
  const double n = static_cast<double>(e), a = n * log2_high, b = 2 * s;
  const double sum = a + b, b_part = sum - a, lost = (a - (sum - b_part)) + (b - b_part);
  const double rest = lost + (2 * s_low + std::fma(b * z, series, n * log2_low)), high = sum + rest;
  return {high, rest - (high - sum)};
}

}  // namespace

double elementary_log(double x) {
  if (x == 0) return -std::numeric_limits<double>::infinity();
  return log_parts(x).high;
}

double elementary_exp(double x) { return elementary::exp(x); }
double elementary_log1p(double x) { return elementary::log1p(x); }

// From x = 1 on
//     e^(−x²)/√π / (x + ½/(x + (2/2)/(x + (3/2)/(x + …))))
// where the error of rounding x² is corrected.
double elementary_erfc(double x) {
  if (!(x >= 1)) return 1 - elementary::erf(x);
  if (x > 28) return 0;
  const double square = x * x, low = std::fma(x, x, -square), e = elementary::exp(-square);
  double fraction = x;
  for (int k = 200; k > 0; --k) fraction = x + 0.5 * k / fraction;
  return std::fma(-low, e, e) * 0.56418958354775628695 / fraction;
}

// e^(y·log x), keeping the rounding error of y·log x: e^(p + low) = eᵖ + eᵖ·low.
double elementary_pow(double x, double y) {
  if (y == 0) return 1;
  if (x == 0) return y > 0 ? 0 : std::numeric_limits<double>::infinity();
  const Sum log = log_parts(x);
  const double p = y * log.high, low = std::fma(y, log.high, -p) + y * log.low, e = elementary::exp(p);
  return std::fma(e, low, e);
}

// θ = n·π/2 + r with |r| ≤ π/4. n·π/2 is subtracted in two steps: the first is exact, the error of the second is kept.
// Minimax polynomials of sin r and cos r from fdlibm (Sun Microsystems, 1993).
SinCos elementary_sin_cos(double theta) {
  constexpr double half_pi = 0x1.921fb54442d18p+0, half_pi_low = 0x1.1a62633145c07p-54;
  const double n = std::floor(std::fma(theta, 1 / half_pi, 0.5));
  const double near = std::fma(-n, half_pi, theta), r = std::fma(-n, half_pi_low, near);
  const double low = std::fma(-n, half_pi_low, near - r), z = r * r;
  double p = 1.58969099521155010221e-10;
  for (const double c : {-2.50507602534068634195e-08, 2.75573137070700676789e-06, -1.98412698298579493134e-04,
                         8.33333333332248946124e-03, -1.66666666666666324348e-01})
    p = std::fma(p, z, c);
  const double sin = r + std::fma(r * z, p, low * (1 - z / 2));
  double q = -1.13596475577881948265e-11;
  for (const double c : {2.08757232129817482790e-09, -2.75573143513906633035e-07, 2.48015872894767294178e-05,
                         -1.38888888888741095749e-03, 4.16666666666666019037e-02})
    q = std::fma(q, z, c);
  // 1 − z/2, and the rounding errors of it and of z
  const double h = z / 2, w = 1 - h, w_low = (1 - w) - h, z_low = std::fma(r, r, -z);
  const double cos = w + (w_low + std::fma(z * z, q, -(z_low / 2) - r * low));
  switch (static_cast<int>(n) & 3) {
    case 0:
      return {sin, cos};
    case 1:
      return {cos, -sin};
    case 2:
      return {-sin, -cos};
    default:
      return {-cos, sin};
  }
}

}  // namespace handgrad::detail
