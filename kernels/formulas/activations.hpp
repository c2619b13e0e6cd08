#pragma once
// Activation functions y = f(z) and their derivatives f′, for dz = dy·f′. `derivative(z, y)` may use the input, the
// output or both. `from_output` says that it needs the output only: then z need not be kept, and the function can be
// fused into the operation that computes z. `kinks()` lists the z at which f has no continuous derivative.
#include <variant>
#include <vector>

#include "kernels/formulas/math.hpp"

namespace handgrad::formulas {

/// f(z) = z,  f′(z) = 1
struct Identity {
  static constexpr bool from_output = true;
  std::vector<double> kinks() const { return {}; }
  template <class V>
  HANDGRAD_HOST_DEVICE V value(V z) const {
    return z;
  }
  template <class V>
  HANDGRAD_HOST_DEVICE V derivative(V, V) const {
    return constant<V>(1);
  }
};

/// f(z) = 1 if z > 0, else 0.   f′(z) = 0 wherever it exists.
struct Threshold {
  static constexpr bool from_output = true;
  std::vector<double> kinks() const { return {0}; }
  template <class V>
  HANDGRAD_HOST_DEVICE V value(V z) const {
    const V step = select(z > constant<V>(0), constant<V>(1), constant<V>(0));
    return select(z == z, step, z);  // NaN stays NaN
  }
  template <class V>
  HANDGRAD_HOST_DEVICE V derivative(V, V) const {
    return constant<V>(0);
  }
};

/// σ(z) = 1/(1+e⁻ᶻ) = eᶻ/(1+eᶻ)     with e = exp(−|z|) neither form overflows
/// σ′(z) = e⁻ᶻ/(1+e⁻ᶻ)² = σ(z)(1−σ(z)), so the backward needs only the output
struct Sigmoid {
  static constexpr bool from_output = true;
  std::vector<double> kinks() const { return {}; }
  template <class V>
  HANDGRAD_HOST_DEVICE V value(V z) const {
    const V one = constant<V>(1);
    const V e = exp(-abs(z));
    return select(z < constant<V>(0), e, one) / (one + e);
  }
  template <class V>
  HANDGRAD_HOST_DEVICE V derivative(V, V y) const {
    return y * (constant<V>(1) - y);
  }
};

/// tanh(z) = (eᶻ−e⁻ᶻ)/(eᶻ+e⁻ᶻ)
/// tanh′(z) = 1 − tanh²(z)
struct Tanh {
  static constexpr bool from_output = true;
  std::vector<double> kinks() const { return {}; }
  template <class V>
  HANDGRAD_HOST_DEVICE V value(V z) const {
    return tanh(z);
  }
  template <class V>
  HANDGRAD_HOST_DEVICE V derivative(V, V y) const {
    return constant<V>(1) - y * y;
  }
};

/// f(z) = max(z, 0)
/// f′(z) = 1 if z > 0 (then y > 0 too), else 0; 0 at the kink, by the usual convention
struct ReLU {
  static constexpr bool from_output = true;
  std::vector<double> kinks() const { return {0}; }
  template <class V>
  HANDGRAD_HOST_DEVICE V value(V z) const {
    return max(constant<V>(0), z);  // NaN stays NaN
  }
  template <class V>
  HANDGRAD_HOST_DEVICE V derivative(V, V y) const {
    return select(y > constant<V>(0), constant<V>(1), constant<V>(0));
  }
};

/// f(z) = z if z > 0, else a·z      a = 0 is ReLU: 0 at −∞, where a·z would be NaN
/// f′(z) = 1 if z > 0, else a
struct LeakyReLU {
  double negative_slope = 0.01;
  static constexpr bool from_output = false;  // if a < 0, y does not determine the sign of z
  std::vector<double> kinks() const { return {0}; }
  template <class V>
  HANDGRAD_HOST_DEVICE V value(V z) const {
    if (negative_slope == 0) return ReLU{}.value(z);
    return select(z > constant<V>(0), z, constant<V>(negative_slope) * z);
  }
  template <class V>
  HANDGRAD_HOST_DEVICE V derivative(V z, V) const {
    return select(z > constant<V>(0), constant<V>(1), constant<V>(negative_slope));
  }
};

/// f(z) = z if z > 0, else α(eᶻ−1)      expm1 keeps the digits near 0
/// f′(z) = 1 if z > 0, else αeᶻ
struct ELU {
  double alpha = 1;
  static constexpr bool from_output = false;
  std::vector<double> kinks() const { return alpha == 1 ? std::vector<double>{} : std::vector<double>{0}; }
  template <class V>
  HANDGRAD_HOST_DEVICE V value(V z) const {
    const V zero = constant<V>(0);
    return select(z > zero, z, constant<V>(alpha) * expm1(select(z > zero, zero, z)));
  }
  template <class V>
  HANDGRAD_HOST_DEVICE V derivative(V z, V) const {
    const V zero = constant<V>(0);
    return select(z > zero, constant<V>(1), constant<V>(alpha) * exp(select(z > zero, zero, z)));
  }
};

// In the functions below a factor falls to 0 faster than |z| grows, so that at z = ±∞ the product 0·∞ has the limit 0,
// as `vanishing` computes it; a factor that is 0 for a finite z gives 0 anyway.
template <class V>
HANDGRAD_HOST_DEVICE inline V vanishing(V factor, V z) {
  return select(factor == constant<V>(0), constant<V>(0), factor * z);
}

/// f(z) = z·Φ(z),  Φ(z) = ½(1 + erf(z/√2)), the normal distribution function
/// f′(z) = Φ(z) + z·φ(z),  φ(z) = e^(−z²/2)/√(2π)
struct GELU {
  static constexpr bool from_output = false;
  std::vector<double> kinks() const { return {}; }
  template <class V>
  HANDGRAD_HOST_DEVICE static V Phi(V z) {
    return constant<V>(0.5) * (constant<V>(1) + erf(z * constant<V>(0.70710678118654752440)));
  }
  template <class V>
  HANDGRAD_HOST_DEVICE V value(V z) const {
    return vanishing(Phi(z), z);
  }
  template <class V>
  HANDGRAD_HOST_DEVICE V derivative(V z, V) const {
    const V phi = exp(constant<V>(-0.5) * z * z) * constant<V>(0.39894228040143267794);
    return Phi(z) + vanishing(phi, z);
  }
};

/// f(z) = ½z(1 + tanh u),  u = √(2/π)(z + 0.044715z³), Hendrycks and Gimpel's approximation of GELU
/// f′(z) = ½(1 + tanh u) + ½z(1 − tanh² u)·√(2/π)(1 + 3·0.044715z²)
struct GELUTanh {
  static constexpr bool from_output = false;
  std::vector<double> kinks() const { return {}; }
  static constexpr double k = 0.79788456080286535588, c = 0.044715;
  template <class V>
  HANDGRAD_HOST_DEVICE static V inner(V z) {
    return tanh(constant<V>(k) * (z + constant<V>(c) * z * z * z));
  }
  template <class V>
  HANDGRAD_HOST_DEVICE V value(V z) const {
    return constant<V>(0.5) * vanishing(constant<V>(1) + inner(z), z);
  }
  template <class V>
  HANDGRAD_HOST_DEVICE V derivative(V z, V) const {
    const V one = constant<V>(1), t = inner(z);
    const V du = constant<V>(k) * (one + constant<V>(3 * c) * z * z);
    return constant<V>(0.5) * (one + t + vanishing(one - t * t, z * du));
  }
};

/// f(z) = z·σ(z)
/// f′(z) = σ(z) + z·σ(z)(1−σ(z))
struct SiLU {
  static constexpr bool from_output = false;
  std::vector<double> kinks() const { return {}; }
  template <class V>
  HANDGRAD_HOST_DEVICE V value(V z) const {
    return vanishing(Sigmoid{}.value(z), z);
  }
  template <class V>
  HANDGRAD_HOST_DEVICE V derivative(V z, V) const {
    const V one = constant<V>(1), s = Sigmoid{}.value(z);
    return s + vanishing(s * (one - s), z);
  }
};

/// f(z) = log(1+e^(βz))/β = (max(βz,0) + log1p(e^(−|βz|)))/β     the second form does not overflow
/// f′(z) = σ(βz);  beyond the threshold, βz > t, as in PyTorch: f(z) = z, f′(z) = 1
struct Softplus {
  double beta = 1, threshold = 20;
  static constexpr bool from_output = false;
  std::vector<double> kinks() const { return {threshold / beta}; }
  template <class V>
  HANDGRAD_HOST_DEVICE V value(V z) const {
    const V u = constant<V>(beta) * z, zero = constant<V>(0);
    const V soft = (select(u < zero, zero, u) + log1p(exp(-abs(u)))) / constant<V>(beta);
    return select(u > constant<V>(threshold), z, soft);
  }
  template <class V>
  HANDGRAD_HOST_DEVICE V derivative(V z, V) const {
    const V u = constant<V>(beta) * z;
    return select(u > constant<V>(threshold), constant<V>(1), Sigmoid{}.value(u));
  }
};

/// f(z) = low for z < low, high for z > high, else z
/// f′(z) = 1 for low < z < high (and low < y < high), else 0
struct Hardtanh {
  double low = -1, high = 1;
  static constexpr bool from_output = true;
  std::vector<double> kinks() const { return {low, high}; }
  template <class V>
  HANDGRAD_HOST_DEVICE V value(V z) const {
    const V a = constant<V>(low), b = constant<V>(high);
    return select(z < a, a, select(z > b, b, z));  // NaN stays NaN
  }
  template <class V>
  HANDGRAD_HOST_DEVICE V derivative(V, V y) const {
    const V zero = constant<V>(0);
    return select(y > constant<V>(low), select(y < constant<V>(high), constant<V>(1), zero), zero);
  }
};

/// f(z) = min(max(z + 3, 0), 6)/6, a piecewise linear sigmoid
/// f′(z) = 1/6 for −3 < z < 3, else 0
struct Hardsigmoid {
  static constexpr bool from_output = false;  // z just below 3 may round to y = 1
  std::vector<double> kinks() const { return {-3, 3}; }
  template <class V>
  HANDGRAD_HOST_DEVICE V value(V z) const {
    return Hardtanh{0, 6}.value(z + constant<V>(3)) / constant<V>(6);
  }
  template <class V>
  HANDGRAD_HOST_DEVICE V derivative(V z, V) const {
    const V zero = constant<V>(0), three = constant<V>(3);
    return select(z > -three, select(z < three, constant<V>(1.0 / 6), zero), zero);
  }
};

/// f(z) = z·h(z) with h(z) = min(max(z + 3, 0), 6)/6: SiLU with a piecewise linear sigmoid (Howard et al. 2019)
/// f′(z) = 0 for z ≤ −3,  1 for z ≥ 3,  between them h + z·h′ = (z + 3)/6 + z/6 = z/3 + ½
struct Hardswish {
  static constexpr bool from_output = false;
  std::vector<double> kinks() const { return {-3, 3}; }
  template <class V>
  HANDGRAD_HOST_DEVICE V value(V z) const {
    return vanishing(Hardsigmoid{}.value(z), z);
  }
  template <class V>
  HANDGRAD_HOST_DEVICE V derivative(V z, V) const {
    const V one = constant<V>(1), three = constant<V>(3);
    const V between = z / three + constant<V>(0.5);
    return select(z < three, select(z > -three, between, constant<V>(0)), one);
  }
};

/// f(z) = log σ(z) = −log(1 + e⁻ᶻ) = min(z, 0) − log1p(e^(−|z|))     the second form does not overflow
/// f′(z) = e⁻ᶻ/(1 + e⁻ᶻ) = σ(−z)
struct LogSigmoid {
  static constexpr bool from_output = false;
  std::vector<double> kinks() const { return {}; }
  template <class V>
  HANDGRAD_HOST_DEVICE V value(V z) const {
    const V zero = constant<V>(0);
    return select(z > zero, zero, z) - log1p(exp(-abs(z)));
  }
  template <class V>
  HANDGRAD_HOST_DEVICE V derivative(V z, V) const {
    return Sigmoid{}.value(-z);
  }
};

/// f(z) = z/(1 + |z|), ±1 at ±∞
/// f′(z) = ((1 + |z|) − z·sign z)/(1 + |z|)² = 1/(1 + |z|)²
struct Softsign {
  static constexpr bool from_output = false;  // for large |z|, 1 − |y| has lost the digits of z
  std::vector<double> kinks() const { return {}; }
  template <class V>
  HANDGRAD_HOST_DEVICE V value(V z) const {
    const V size = abs(z), one = constant<V>(1), sign = select(z > constant<V>(0), one, -one);
    return select(size == constant<V>(HUGE_VAL), sign, z / (one + size));
  }
  template <class V>
  HANDGRAD_HOST_DEVICE V derivative(V z, V) const {
    const V share = constant<V>(1) / (constant<V>(1) + abs(z));
    return share * share;
  }
};

/// f(z) = z·t,  t = tanh(log(1 + eᶻ)) (Misra 2019). With u = 1 + eᶻ, tanh(log u) = (u² − 1)/(u² + 1), hence
///     t = a/b with, for z ≤ 0 and e = eᶻ,   a = e(e + 2),  b = a + 2;
///                   for z > 0 and e = e⁻ᶻ,  a = 1 + 2e,    b = a + 2e²  (both times e²): no overflow, no logarithm
/// f′(z) = t + z·(1 − t²)·σ(z),  with 1 − t² = (b − a)(b + a)/b², which loses no digits when t is nearly 1
struct Mish {
  static constexpr bool from_output = false;
  std::vector<double> kinks() const { return {}; }
  template <class V>
  struct Parts {
    V a, difference;  // a and b − a
  };
  template <class V>
  HANDGRAD_HOST_DEVICE static Parts<V> parts(V z) {
    const V e = exp(-abs(z)), two = constant<V>(2), positive = constant<V>(1) + two * e;
    return {select(z > constant<V>(0), positive, e * (e + two)), select(z > constant<V>(0), two * e * e, two)};
  }
  template <class V>
  HANDGRAD_HOST_DEVICE V value(V z) const {
    const Parts<V> p = parts(z);
    return vanishing(p.a / (p.a + p.difference), z);
  }
  template <class V>
  HANDGRAD_HOST_DEVICE V derivative(V z, V) const {
    const Parts<V> p = parts(z);
    const V b = p.a + p.difference, t = p.a / b, slope = (p.difference / b) * ((b + p.a) / b);
    return t + vanishing(slope * Sigmoid{}.value(z), z);
  }
};

/// f(z) = z if z > 0, else a·z, with learned a (He et al. 2015); for a = 0, f(−∞) = 0
/// f′(z) = 1 if z > 0, else a;   ∂f/∂a = min(z, 0)
struct PReLU {
  template <class V>
  HANDGRAD_HOST_DEVICE static V value(V z, V a) {
    const V zero = constant<V>(0), below = select(a == zero, select(z == z, zero, z), a * z);  // NaN stays NaN
    return select(z > zero, z, below);
  }
  template <class V>
  HANDGRAD_HOST_DEVICE static V derivative(V z, V a) {
    return select(z > constant<V>(0), constant<V>(1), a);
  }
  /// δ·∂f/∂a
  template <class V>
  HANDGRAD_HOST_DEVICE static V of_slope(V dy, V z) {
    return select(z > constant<V>(0), constant<V>(0), vanishing(dy, z));
  }
};

/// Any of them but PReLU, which has a parameter. A kernel visits it; one that misses a formula does not compile.
struct Activation : std::variant<Identity, Threshold, Sigmoid, Tanh, ReLU, LeakyReLU, ELU, GELU, GELUTanh, SiLU,
                                 Softplus, Hardtanh, Hardsigmoid, Hardswish, LogSigmoid, Softsign, Mish> {
  using variant::variant;
};

}  // namespace handgrad::formulas
