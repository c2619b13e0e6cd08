#pragma once
// Losses ℓ(p, y) of one element, and ∂ℓ/∂p. q is the weight of the positive class (`pos_weight`), 1 where a loss has
// none.
#include <variant>

#include "kernels/formulas/activations.hpp"

namespace handgrad::formulas {

/// ℓ = (p − y)²
/// ∂ℓ/∂p = 2(p − y)
struct SquaredError {
  template <class V>
  HANDGRAD_HOST_DEVICE V value(V p, V y, V) const {
    return (p - y) * (p - y);
  }
  template <class V>
  HANDGRAD_HOST_DEVICE V derivative(V p, V y, V) const {
    return constant<V>(2) * (p - y);
  }
};

/// ℓ = |p − y|
/// ∂ℓ/∂p = sign(p − y), 0 where they are equal
struct AbsoluteError {
  template <class V>
  HANDGRAD_HOST_DEVICE V value(V p, V y, V) const {
    return abs(p - y);
  }
  template <class V>
  HANDGRAD_HOST_DEVICE V derivative(V p, V y, V) const {
    const V d = p - y, zero = constant<V>(0);
    return select(d > zero, constant<V>(1), select(d < zero, constant<V>(-1), d));  // NaN stays NaN
  }
};

/// ℓ = −[y·log p + (1−y)·log(1−p)],  each logarithm at least −100, so that p = 0 or 1 costs 100 and not ∞
/// ∂ℓ/∂p = −y/p + (1−y)/(1−p) = (p − y)/(p(1−p)),  the denominator at least 1e-12
/// Both bounds are PyTorch's.
struct BinaryCrossEntropy {
  template <class V>
  HANDGRAD_HOST_DEVICE static V bounded(V log_p) {
    const V least = constant<V>(-100);
    return select(log_p < least, least, log_p);
  }
  template <class V>
  HANDGRAD_HOST_DEVICE V value(V p, V y, V) const {
    const V one = constant<V>(1);
    return (y - one) * bounded(log1p(-p)) - y * bounded(log(p));
  }
  template <class V>
  HANDGRAD_HOST_DEVICE V derivative(V p, V y, V) const {
    const V d = p * (constant<V>(1) - p), least = constant<V>(1e-12f);  // f: PyTorch's is a float
    return (p - y) / select(d < least, least, d);
  }
};

/// ℓ = −[y·log p̂ + (1−y)·log(1−p̂)],  p̂ = p held to [ε, 1−ε]: the clamp of probabilities that the notebooks write
/// ∂ℓ/∂p = (p − y)/(p(1−p)) inside; 0 outside, where p̂ does not move with p: a saturated output learns nothing
struct ClampedBinaryCrossEntropy {
  double eps = 1e-7;
  template <class V>
  HANDGRAD_HOST_DEVICE V value(V p, V y, V) const {
    const V one = constant<V>(1), low = constant<V>(eps), high = one - low;
    const V q = select(p < low, low, select(p > high, high, p));
    return (y - one) * log(one - q) - y * log(q);
  }
  template <class V>
  HANDGRAD_HOST_DEVICE V derivative(V p, V y, V) const {
    const V one = constant<V>(1), low = constant<V>(eps), high = one - low;
    const V inside = (p - y) / (p * (one - p));
    return select(p < low, constant<V>(0), select(p > high, constant<V>(0), inside));
  }
};

/// With p = σ(z):  −log σ(z) = s(−z) and −log(1−σ(z)) = s(z) = z + s(−z) for the softplus s(u) = log(1+eᵘ), hence
/// ℓ = q·y·s(−z) + (1−y)·s(z),   s(u) = max(u,0) + log1p(e^(−|u|)): no overflow
///   = q·y·max(−z,0) + (1−y)·max(z,0) + (1 + (q−1)y)·log1p(e^(−|z|))
/// A class of weight 0 costs nothing, though z be infinite: for y = 1, ℓ → 0 as z → ∞.
/// s′(u) = σ(u), hence ∂ℓ/∂z = (1−y) − (1 + (q−1)y)·σ(−z);   for q = 1 this is σ(z) − y
struct BinaryCrossEntropyWithLogits {
  template <class V>
  HANDGRAD_HOST_DEVICE V value(V z, V y, V q) const {
    const V one = constant<V>(1), zero = constant<V>(0);
    const V positive = select(z > zero, z, zero), negative = select(z < zero, -z, zero);
    return vanishing(q * y, negative) + vanishing(one - y, positive) + (one + (q - one) * y) * log1p(exp(-abs(z)));
  }
  template <class V>
  HANDGRAD_HOST_DEVICE V derivative(V z, V y, V q) const {
    const V one = constant<V>(1);
    return (one - y) - (one + (q - one) * y) * Sigmoid{}.value(-z);
  }
};

/// Any one of them.
struct ElementLoss : std::variant<SquaredError, AbsoluteError, BinaryCrossEntropy, ClampedBinaryCrossEntropy,
                                  BinaryCrossEntropyWithLogits> {
  using variant::variant;
};

}  // namespace handgrad::formulas
