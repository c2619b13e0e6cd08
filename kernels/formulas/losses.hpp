#pragma once
// Losses ℓ(p, t) of one element, and ∂ℓ/∂p. q is the weight of the positive class (`pos_weight`), by default 1.
#include <variant>

#include "kernels/formulas/activations.hpp"

namespace handgrad::formulas {

/// ℓ = (p − t)²
/// ∂ℓ/∂p = 2(p − t)
struct SquaredError {
  template <class V>
  HANDGRAD_HOST_DEVICE V value(V p, V t, V) const {
    return (p - t) * (p - t);
  }
  template <class V>
  HANDGRAD_HOST_DEVICE V derivative(V p, V t, V) const {
    return constant<V>(2) * (p - t);
  }
};

/// ℓ = |p − t|
/// ∂ℓ/∂p = sign(p − t), 0 where they are equal
struct AbsoluteError {
  template <class V>
  HANDGRAD_HOST_DEVICE V value(V p, V t, V) const {
    return abs(p - t);
  }
  template <class V>
  HANDGRAD_HOST_DEVICE V derivative(V p, V t, V) const {
    const V d = p - t, zero = constant<V>(0);
    return select(d > zero, constant<V>(1), select(d < zero, constant<V>(-1), d));  // NaN stays NaN
  }
};

/// ℓ = −[t·log p + (1−t)·log(1−p)],  each logarithm at least −100, so that p = 0 or 1 costs 100 and not ∞
/// ∂ℓ/∂p = −t/p + (1−t)/(1−p) = (p − t)/(p(1−p)),  the denominator at least 1e-12
/// Both bounds are PyTorch's.
struct BinaryCrossEntropy {
  template <class V>
  HANDGRAD_HOST_DEVICE static V bounded(V log_p) {
    const V least = constant<V>(-100);
    return select(log_p < least, least, log_p);
  }
  template <class V>
  HANDGRAD_HOST_DEVICE V value(V p, V t, V) const {
    const V one = constant<V>(1);
    return (t - one) * bounded(log1p(-p)) - t * bounded(log(p));
  }
  template <class V>
  HANDGRAD_HOST_DEVICE V derivative(V p, V t, V) const {
    const V d = p * (constant<V>(1) - p), least = constant<V>(1e-12f);  // f: PyTorch's is a float
    return (p - t) / select(d < least, least, d);
  }
};

/// ℓ = −[t·log p̂ + (1−t)·log(1−p̂)],  p̂ = p clamped to [ε, 1−ε], as in the notebooks
/// ∂ℓ/∂p = (p − t)/(p(1−p)) inside; 0 outside, where p̂ is constant: a saturated output learns nothing
struct ClampedBinaryCrossEntropy {
  double eps = 1e-7;
  template <class V>
  HANDGRAD_HOST_DEVICE V value(V p, V t, V) const {
    const V one = constant<V>(1), low = constant<V>(eps), high = one - low;
    const V q = select(p < low, low, select(p > high, high, p));
    return (t - one) * log(one - q) - t * log(q);
  }
  template <class V>
  HANDGRAD_HOST_DEVICE V derivative(V p, V t, V) const {
    const V one = constant<V>(1), low = constant<V>(eps), high = one - low;
    const V inside = (p - t) / (p * (one - p));
    return select(p < low, constant<V>(0), select(p > high, constant<V>(0), inside));
  }
};

/// With p = σ(z):  −log σ(z) = s(−z) and −log(1−σ(z)) = s(z) = z + s(−z) for the softplus s(u) = log(1+eᵘ), hence
/// ℓ = q·t·s(−z) + (1−t)·s(z),   s(u) = max(u,0) + log1p(e^(−|u|)): no overflow
///   = q·t·max(−z,0) + (1−t)·max(z,0) + (1 + (q−1)t)·log1p(e^(−|z|))
/// A class of weight 0 has no loss, even for infinite z: for t = 1, ℓ → 0 as z → ∞.
/// s′(u) = σ(u), hence ∂ℓ/∂z = (1−t) − (1 + (q−1)t)·σ(−z);   for q = 1 this is σ(z) − t
struct BinaryCrossEntropyWithLogits {
  template <class V>
  HANDGRAD_HOST_DEVICE V value(V z, V t, V q) const {
    const V one = constant<V>(1), zero = constant<V>(0);
    const V positive = select(z > zero, z, zero), negative = select(z < zero, -z, zero);
    return vanishing(q * t, negative) + vanishing(one - t, positive) + (one + (q - one) * t) * log1p(exp(-abs(z)));
  }
  template <class V>
  HANDGRAD_HOST_DEVICE V derivative(V z, V t, V q) const {
    const V one = constant<V>(1);
    return (one - t) - (one + (q - one) * t) * Sigmoid{}.value(-z);
  }
};

/// With d = p − t, a parabola near 0 and a line far from it, whose slopes meet at |d| = δ (Huber 1964):
/// ℓ = ½d² for |d| ≤ δ,  δ(|d| − ½δ) beyond
/// ∂ℓ/∂p = d clamped to [−δ, δ]
struct Huber {
  double delta = 1;
  template <class V>
  HANDGRAD_HOST_DEVICE V value(V p, V t, V) const {
    const V size = abs(p - t), half = constant<V>(0.5), end = constant<V>(delta);
    return select(size > end, end * (size - half * end), half * size * size);  // NaN stays NaN
  }
  template <class V>
  HANDGRAD_HOST_DEVICE V derivative(V p, V t, V) const {
    const V d = p - t, end = constant<V>(delta);
    return select(d > end, end, select(d < -end, -end, d));
  }
};

/// Huber's loss divided by β, so that the line has slope 1; for β = 0 it is |p − t|:
/// ℓ = ½d²/β for |d| < β,  |d| − ½β beyond
/// ∂ℓ/∂p = d/β for |d| < β,  sign d beyond
struct SmoothAbsoluteError {
  double beta = 1;
  template <class V>
  HANDGRAD_HOST_DEVICE V value(V p, V t, V) const {
    if (beta == 0) return AbsoluteError{}.value(p, t, t);
    const V size = abs(p - t), half = constant<V>(0.5), end = constant<V>(beta);
    return select(size >= end, size - half * end, half * size * size / end);
  }
  template <class V>
  HANDGRAD_HOST_DEVICE V derivative(V p, V t, V) const {
    if (beta == 0) return AbsoluteError{}.derivative(p, t, t);
    const V d = p - t, one = constant<V>(1), end = constant<V>(beta);
    return select(d >= end, one, select(d <= -end, -one, d / end));
  }
};

/// The Kullback–Leibler divergence, Σ t·(log t − p), for p the logarithm of a probability:
/// ℓ = t·(log t − p),  0 for t = 0;  with log_target, ℓ = eᵗ·(t − p)
/// ∂ℓ/∂p = −t;  with log_target, −eᵗ
struct KullbackLeibler {
  bool log_target = false;
  template <class V>
  HANDGRAD_HOST_DEVICE V value(V p, V t, V) const {
    const V share = log_target ? exp(t) : t, log_share = log_target ? t : log(t);
    return select(p == p, vanishing(share, log_share - p), p);  // NaN stays NaN
  }
  template <class V>
  HANDGRAD_HOST_DEVICE V derivative(V, V t, V) const {
    return log_target ? -exp(t) : -t;
  }
};

struct ElementLoss : std::variant<SquaredError, AbsoluteError, BinaryCrossEntropy, ClampedBinaryCrossEntropy,
                                  BinaryCrossEntropyWithLogits, Huber, SmoothAbsoluteError, KullbackLeibler> {
  using variant::variant;
};

}  // namespace handgrad::formulas
