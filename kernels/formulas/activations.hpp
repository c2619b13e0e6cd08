#pragma once
// Activation functions y = f(z) and their derivatives f′, for dz = dy·f′. `derivative(z, y)` may use the input, the
// output or both. Where it needs the output only, `from_output` says so: then z need not be kept, and the function can
// be fused into what computes z.
#include <optional>
#include <variant>

#include "kernels/formulas/math.hpp"

namespace handgrad::formulas {

/// f(z) = z,  f′(z) = 1
struct Identity {
  static constexpr bool from_output = true;
  std::optional<double> kink() const { return {}; }
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
  std::optional<double> kink() const { return 0; }
  template <class V>
  HANDGRAD_HOST_DEVICE V value(V z) const {
    const V step = select(z > constant<V>(0), constant<V>(1), constant<V>(0));
    return select(z == z, step, z);  // NaN stays NaN (z != z does not see it: xsimd's is false for NaN on AVX)
  }
  template <class V>
  HANDGRAD_HOST_DEVICE V derivative(V, V) const {
    return constant<V>(0);
  }
};

/// σ(z) = 1/(1+e⁻ᶻ) = eᶻ/(1+eᶻ)     with e = exp(−|z|) neither form overflows
/// σ′(z) = e⁻ᶻ/(1+e⁻ᶻ)² = σ(z)(1−σ(z)), so the backward needs the output only
struct Sigmoid {
  static constexpr bool from_output = true;
  std::optional<double> kink() const { return {}; }
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
  std::optional<double> kink() const { return {}; }
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
/// f′(z) = 1 if z > 0 (then y > 0 too), else 0; at the kink 0, as everywhere in the field
struct ReLU {
  static constexpr bool from_output = true;
  std::optional<double> kink() const { return 0; }
  template <class V>
  HANDGRAD_HOST_DEVICE V value(V z) const {
    return select(z < constant<V>(0), constant<V>(0), z);  // NaN stays NaN
  }
  template <class V>
  HANDGRAD_HOST_DEVICE V derivative(V, V y) const {
    return select(y > constant<V>(0), constant<V>(1), constant<V>(0));
  }
};

/// f(z) = z if z > 0, else a·z      for a = 0 that is ReLU, which is 0 at −∞, where a·z would be NaN
/// f′(z) = 1 if z > 0, else a
struct LeakyReLU {
  double negative_slope = 0.01;
  static constexpr bool from_output = false;  // a may be negative: then y does not tell the sign of z
  std::optional<double> kink() const { return 0; }
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
  std::optional<double> kink() const { return alpha == 1 ? std::nullopt : std::optional(0.0); }
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

// In what follows a factor falls to 0 faster than |z| grows: at z = ±∞ the product 0·∞ has the limit 0. `vanishing`
// says so; where the factor is 0 for a finite z, the product was 0 as well.
template <class V>
HANDGRAD_HOST_DEVICE inline V vanishing(V factor, V z) {
  return select(factor == constant<V>(0), constant<V>(0), factor * z);
}

/// f(z) = z·Φ(z),  Φ(z) = ½(1 + erf(z/√2)), the normal distribution function
/// f′(z) = Φ(z) + z·φ(z),  φ(z) = e^(−z²/2)/√(2π)
struct GELU {
  static constexpr bool from_output = false;
  std::optional<double> kink() const { return {}; }
  template <class V>
  HANDGRAD_HOST_DEVICE static V Phi(V z) {
    // erf is ±1 long before ±30; xsimd's is NaN for z near the greatest double.
    const V u = z * constant<V>(0.70710678118654752440), end = constant<V>(30);
    return constant<V>(0.5) * (constant<V>(1) + erf(select(u > end, end, select(u < -end, -end, u))));
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
  std::optional<double> kink() const { return {}; }
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
  std::optional<double> kink() const { return {}; }
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
/// f′(z) = σ(βz);  beyond the threshold, βz > t, PyTorch takes the line: f(z) = z, f′(z) = 1
struct Softplus {
  double beta = 1, threshold = 20;
  static constexpr bool from_output = false;
  std::optional<double> kink() const { return threshold / beta; }
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

/// Any one of them. A kernel visits it; one that misses a formula does not compile.
struct Activation
    : std::variant<Identity, Threshold, Sigmoid, Tanh, ReLU, LeakyReLU, ELU, GELU, GELUTanh, SiLU, Softplus> {
  using variant::variant;
};

}  // namespace handgrad::formulas
