#pragma once
// exp, log, log1p, expm1, tanh and erf of float and double, in IEEE operations alone: the same bits on every processor,
// with every compiler and C library, for a number and for each lane of a SIMD batch (kernels/cpu/simd.hpp). Largest
// errors in units in the last place, measured over all floats and many doubles by tests/kernels/elementary_test.cpp:
//
//              exp    log    log1p  expm1  tanh   erf
//     float    1.0    1.0    1.0    1.1    1.5    1.2
//     double   1.0    1.0    1.0    1.1    1.5    1.2
//
// ±0, denormals, ±∞ and NaN give what C's functions give. The polynomials are minimax (Remez exchange, relative error);
// the argument reductions are fdlibm's (Sun Microsystems, 1993).
#include <bit>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <limits>

namespace handgrad::elementary {

// Operations on a number that the functions need; simd.hpp has the same for a batch.

/// a·b + c, rounded once.
inline double fused(double a, double b, double c) { return std::fma(a, b, c); }

inline float fused(float a, float b, float c) {
#if defined(__FMA__) || defined(__aarch64__)
  return std::fma(a, b, c);
#else
  // In double the product is exact, but the sum s is not: its last bit is set if digits were lost (rounding to odd).
  // Rounding s to float then equals rounding the exact sum, because double has more than two bits to spare.
  const double p = double{a} * double{b}, q = double{c}, s = p + q;
  const double q_part = s - p, lost = (p - (s - q_part)) + (q - q_part);
  auto bits = std::bit_cast<std::int64_t>(s);
  if ((lost > 0 || lost < 0) && (bits & 1) == 0) bits += (lost > 0) == (s > 0) ? 1 : -1;
  return static_cast<float>(std::bit_cast<double>(bits));
#endif
}

template <class T>
inline T select(bool c, T a, T b) {
  return c ? a : b;
}
/// The smaller and the larger of two; b where one is NaN or both are 0.
template <class T>
inline T min(T a, T b) {
  return select(a < b, a, b);
}
template <class T>
inline T max(T a, T b) {
  return select(a > b, a, b);
}

/// A number's representation in bits.
template <class V>
struct Format;
template <>
struct Format<float> {
  using Number = float;
  using Word = std::uint32_t;  // of one lane
  using Words = Word;          // of all lanes
  static constexpr int mantissa = 23, bias = 127;
};
template <>
struct Format<double> {
  using Number = double;
  using Word = std::uint64_t;
  using Words = Word;
  static constexpr int mantissa = 52, bias = 1023;
};
inline std::uint32_t bits(float x) { return std::bit_cast<std::uint32_t>(x); }
inline std::uint64_t bits(double x) { return std::bit_cast<std::uint64_t>(x); }
inline float number(std::uint32_t bits) { return std::bit_cast<float>(bits); }
inline double number(std::uint64_t bits) { return std::bit_cast<double>(bits); }

template <class V>
inline V absolute(V x) {
  using F = Format<V>;
  return number(bits(x) & static_cast<typename F::Word>(~typename F::Word{0} >> 1));
}
/// |x| with the sign of `sign`.
template <class V>
inline V with_sign(V x, V sign) {
  using F = Format<V>;
  using Word = typename F::Word;
  return number(bits(x) | (bits(sign) & static_cast<Word>(~(~Word{0} >> 1))));
}

/// c₀ + c₁z + c₂z² + …
template <class V, class T, std::size_t N>
inline V series(V z, const T (&c)[N]) {
  V sum(c[N - 1]);
  for (std::size_t k = N - 1; k-- > 0;) sum = fused(sum, z, V(c[k]));
  return sum;
}

template <class T>
struct Constants;
template <>
struct Constants<float> {
  static constexpr float log2_high = 0x1.62e4p-1f, log2_low = 0x1.7f7d1cp-20f;  // n·log2_high is exact
  static constexpr float exp_least = -104, exp_most = 89;                       // beyond, exp is 0 or ∞
  static constexpr float tiny = 0x1p-26f;                                       // expm1 x = x below
  static constexpr float scale_log2 = 25, scale = 0x1p25f;                      // makes a denormal normal
  static constexpr std::uint32_t sqrt_half = 0x3f3504f3;
  static constexpr float tanh_one = 10, erf_one = 4;  // from here on tanh, erf are 1
  static constexpr float exp[] = {0.5f,          0x1.555556p-3f,  0x1.5554aep-5f,
                                  0x1.11109p-7f, 0x1.6d744ap-10f, 0x1.a1a1a6p-13f};
  static constexpr float log[] = {0x1.555554p-1f, 0x1.999a7ap-2f, 0x1.2438cp-2f, 0x1.e2fad4p-3f};
  static constexpr float erf[] = {0x1.06eba8p-3f, -0x1.81273ep-2f,  0x1.ce2cf8p-4f, -0x1.b7f91p-6f,
                                  0x1.5405bep-8f, -0x1.a3f71ep-11f, 0x1.496a12p-14f};
  static constexpr float erfc[] = {0x1.058672p-2f, -0x1.b57036p-2f, 0x1.eeea1cp-3f, -0x1.4381f8p-4f,
                                   0x1.edc83p-9f,  0x1.df7ea4p-8f,  0x1.b3d028p-14f};
};
template <>
struct Constants<double> {
  static constexpr double log2_high = 0x1.62e42fefa3800p-1, log2_low = 0x1.ef35793c76730p-45;
  static constexpr double exp_least = -746, exp_most = 710;
  static constexpr double tiny = 0x1p-55;
  static constexpr double scale_log2 = 54, scale = 0x1p54;
  static constexpr std::uint64_t sqrt_half = 0x3fe6a09e667f3bcd;
  static constexpr double tanh_one = 20, erf_one = 6;
  static constexpr double exp[] = {0.5,
                                   0x1.5555555555559p-3,
                                   0x1.555555555555ap-5,
                                   0x1.111111110f6c1p-7,
                                   0x1.6c16c16c14458p-10,
                                   0x1.a01a01afde90cp-13,
                                   0x1.a01a01b0b4dbbp-16,
                                   0x1.71ddf862d95a7p-19,
                                   0x1.27e4c5a548923p-22,
                                   0x1.af5ea650956a4p-26,
                                   0x1.1f955ce0fb7e3p-29};
  static constexpr double log[] = {0x1.5555555555592p-1, 0x1.999999997fe59p-2, 0x1.24924941f2773p-2,
                                   0x1.c71c52023b8ffp-3, 0x1.7466415b0c9e1p-3, 0x1.39a1664b38e97p-3,
                                   0x1.2f0970348fe0bp-3};
  static constexpr double erf[] = {0x1.06eba8214db68p-3,   -0x1.812746b0379bdp-2,  0x1.ce2f21a040d21p-4,
                                   -0x1.b82ce311fab6fp-6,  0x1.565bccf92eaadp-8,   -0x1.c02db03e3cd72p-11,
                                   0x1.f9a2bab00ed8ep-14,  -0x1.f4ca4dbca9a02p-17, 0x1.b97fd5d5cea58p-20,
                                   -0x1.5c072df7c0e9ep-23, 0x1.d71b21cf3dcd1p-27,  -0x1.abae353b8c9f6p-31};
  static constexpr double erfc[] = {0x1.058671b52c776p-2,   -0x1.b57034efd3f56p-2,  0x1.eeea7dc8a790bp-3,
                                    -0x1.437f0b68ccc3fp-4,  0x1.e947158adbd8ap-9,   0x1.ca95ed863ddb6p-8,
                                    -0x1.bc258dc50c7e8p-11, -0x1.016b5372ff7a2p-10, 0x1.6d353243b786fp-15,
                                    0x1.6d8268b89d84ap-13,  0x1.cf708973a31eep-16,  -0x1.be77cbaa594fbp-16,
                                    -0x1.a8448783e66dep-17};
};

// x + `magic` holds x, rounded to a whole number, in its lowest bits.
template <class V>
inline constexpr
    typename Format<V>::Number magic = static_cast<typename Format<V>::Number>(std::uint64_t{3}
                                                                               << (Format<V>::mantissa - 1));

/// 2ⁿ⁺ᵐᵒʳᵉ for a whole number n and a normal result.
template <int more = 0, class V>
inline V power_of_two(V n) {
  using F = Format<V>;
  return number(bits(n + V(magic<V> + typename F::Number(F::bias + more))) << F::mantissa);
}
/// y·2ⁿ for a whole number n, 2ⁿ as two factors: it may not be a normal number although y·2ⁿ is. The first product is
/// exact for an y near 1. AVX-512 has an operation for it.
template <class V>
inline V scaled(V y, V n) {
  using T = typename Format<V>::Number;
  const V m = fused(n, V(T(0.5)), V(magic<V>)) - V(magic<V>);
  return (y * power_of_two(m)) * power_of_two(n - m);
}

/// x = n·log 2 + r + low,  |r| ≤ ½ log 2, and eʳ − 1 = r + r²·q; low is the rounding error of r
template <class V>
struct ExpParts {
  V n, r, low, q;
  explicit ExpParts(V x) {
    using T = typename Format<V>::Number;
    using C = Constants<T>;
    n = fused(x, V(T(1.44269504088896340736)), V(magic<V>)) - V(magic<V>);
    const V high = fused(n, V(-C::log2_high), x);
    r = fused(n, V(-C::log2_low), high);
    low = fused(n, V(-C::log2_low), high - r);
    q = series(r, C::exp);
  }
};

/// eˣ = 2ⁿ·eʳ
template <class V>
inline V exp(V x) {
  using T = typename Format<V>::Number;
  using C = Constants<T>;
  const ExpParts<V> p(min(V(C::exp_most), max(V(C::exp_least), x)));
  return scaled(V(T(1)) + fused(p.r * p.r, p.q, p.r), p.n);
}

/// eˣ − 1 = high + low,  |low| ≤ ½ ulp high, for −50 ≤ x ≤ exp_most. The last bit of a denormal x may be lost.
///     eˣ − 1 = 2ⁿ(1 + r + r²q) − 1 = 2·[((2ⁿ⁻¹ − ½) + 2ⁿ⁻¹r) + 2ⁿ⁻¹r²q]
/// with the rounding errors of r and of the inner sum kept.
template <class V>
struct Expm1Parts {
  V high, low;
  explicit Expm1Parts(V x) {
    using T = typename Format<V>::Number;
    const ExpParts<V> p(x);
    const V half = power_of_two<-1>(p.n);
    const V first = half - V(T(0.5)), sum = fused(half, p.r, first), lost = fused(half, p.r, first - sum);
    const V rest = fused(half * (p.r * p.r), p.q, fused(half, p.low, lost)), y = sum + rest, y_low = rest - (y - sum);
    high = y + y;
    low = y_low + y_low;
  }
};
template <class V>
inline V expm1(V x) {
  using T = typename Format<V>::Number;
  using C = Constants<T>;
  const V y = Expm1Parts<V>(min(V(C::exp_most), max(V(T(-50)), x))).high;
  return select(absolute(x) < V(C::tiny), x, y);
}

/// log(2^shift·u) + c for a normal u = 2ᵉ·m, √½ ≤ m < √2. With f = m − 1, s = f/(2+f) and z = s²
///     log m = 2 artanh s = 2s + s·R(z) = f − (f²/2 − s(f²/2 + R))
template <class V>
inline V log_of(V u, V shift, V c) {
  using F = Format<V>;
  using T = typename F::Number;
  using Word = typename F::Word;
  using C = Constants<T>;
  constexpr Word one = static_cast<Word>(Word{F::bias} << F::mantissa), from = static_cast<Word>(one - C::sqrt_half);
  constexpr T whole = static_cast<T>(std::uint64_t{1} << F::mantissa);
  const auto biased = (bits(u) + from) >> F::mantissa;
  const V e = (number(biased | bits(whole)) - V(whole + T(F::bias))) + shift;
  const V f = number(bits(u) - (biased << F::mantissa) + one) - V(T(1));
  const V s = f / (V(T(2)) + f), z = s * s, h = V(T(0.5)) * f * f;
  const V r = z * series(z, C::log);
  return fused(e, V(C::log2_high), -((h - fused(s, h + r, fused(e, V(C::log2_low), c))) - f));
}

template <class V>
inline V log(V x) {
  using T = typename Format<V>::Number;
  using C = Constants<T>;
  using Limits = std::numeric_limits<T>;
  const V zero(T(0)), infinity(Limits::infinity());
  const auto small = x < V(Limits::min());
  const V y = log_of(select(small, x * V(C::scale), x), select(small, V(-C::scale_log2), zero), zero);
  return select(x > zero, select(x == infinity, x, y), select(x == zero, -infinity, V(Limits::quiet_NaN())));
}

/// log(1+x) = log u + c/u, where u is 1+x rounded and c the rounding error.
template <class V>
inline V log1p(V x) {
  using T = typename Format<V>::Number;
  using Limits = std::numeric_limits<T>;
  const V zero(T(0)), one(T(1)), infinity(Limits::infinity());
  const V u = one + x, part = u - one, c = (one - (u - part)) + (x - part);
  const V y = select(x == zero, x, select(x == infinity, x, log_of(u, zero, c / u)));
  return select(x > -one, y, select(x == -one, -infinity, V(Limits::quiet_NaN())));
}

/// With t = e^(2|x|) − 1:  tanh |x| = t/(t+2), or 1 − 2/(t+2) for t > 2. For t ≤ 2 the rounding errors of d = t+2 and
/// q = t/d are corrected: t is t + t_low, t+2 is d + c, and q·d is t − rest. As 1/d ≈ (1−q)/2,
///     tanh |x| = q + ½(1−q)(rest + t_low(1−q) − q·c)
template <class V>
inline V tanh(V x) {
  using T = typename Format<V>::Number;
  using C = Constants<T>;
  const V a = absolute(x), b = min(V(C::tanh_one), a), one(T(1)), two(T(2));
  const Expm1Parts<V> t(b + b);
  const auto large = t.high > two;
  const V d = t.high + two, q = select(large, -two, t.high) / d;
  const V below_one = one - q, c = t.high - (d - two);
  const V rest = fused(t.low, below_one, fused(-q, d, t.high) - q * c);
  const V y = select(large, one + q, fused(V(T(0.5)) * below_one, rest, q));
  return select(a < V(C::tiny), x, with_sign(y, x));
}

/// |x| < 1: x + x·E(x²);  beyond: 1 − e^(−x²)·G(t),  t = (|x|−2)/(|x|+2)
template <class V>
inline V erf(V x) {
  using T = typename Format<V>::Number;
  using C = Constants<T>;
  const V a = absolute(x), b = min(V(C::erf_one), a), two(T(2));
  const V near = fused(a, series(a * a, C::erf), a);
  const V far = fused(exp(-(b * b)), -series((b - two) / (b + two), C::erfc), V(T(1)));
  return with_sign(select(a < V(T(1)), near, far), x);
}

}  // namespace handgrad::elementary
