#pragma once
// One element's update in each optimizer: w is the parameter, g = ∂L/∂w, and s[0], s[1], … are the optimizer's states,
// `states()` in number and zero before the first step. The rules and the order of operations are those of torch.optim,
// so that runs can be compared digit by digit.
#include <variant>

#include "kernels/formulas/math.hpp"

namespace handgrad::formulas {

/// g ← g + λw                      weight decay: the gradient of ½λw²
/// v ← µv + g                      momentum, v = s[0]; v = g in the first step, as v was zero
/// w ← w − η(g + µv) with Nesterov's look-ahead,  w ← w − ηv without,  w ← w − ηg without momentum
struct SGD {
  double lr = 1e-3, momentum = 0, weight_decay = 0;
  bool nesterov = false;

  bool operator==(const SGD&) const = default;
  constexpr int states() const { return momentum != 0; }
  template <class V>
  HANDGRAD_HOST_DEVICE void step(V& w, V g, V* s) const {
    if (weight_decay != 0) g = g + constant<V>(weight_decay) * w;
    if (momentum != 0) {
      const V mu = constant<V>(momentum);
      s[0] = mu * s[0] + g;
      g = nesterov ? g + mu * s[0] : s[0];
    }
    w = w - constant<V>(lr) * g;
  }
};

/// Adam (Kingma and Ba 2015, algorithm 1) and AdamW (Loshchilov and Hutter 2019), in step t:
/// g ← g + λw, or decoupled: w ← w − ηλw, not affected by the division below
/// m ← β₁m + (1−β₁)g = m + (1−β₁)(g − m)      mean of the gradients,  m = s[0]
/// v ← β₂v + (1−β₂)g²                         mean of their squares,  v = s[1]
/// Both start at 0, so that m = (1−β₁ᵗ)g for constant g: dividing by cᵢ = 1−βᵢᵗ removes the bias.
/// w ← w − η·(m/c₁) / (√(v/c₂) + ε)
/// amsgrad (Reddi, Kale and Kumar 2018): u ← max(u, v), u = s[2], replaces v, so that no step grows as v falls
struct Adam {
  double lr = 1e-3, beta1 = 0.9, beta2 = 0.999, eps = 1e-8, weight_decay = 0;
  bool decoupled = false, amsgrad = false;
  double correction1 = 1, correction2_root = 1;  // c₁ and √c₂ of this step

  bool operator==(const Adam&) const = default;
  constexpr int states() const { return 2 + amsgrad; }
  template <class V>
  HANDGRAD_HOST_DEVICE void step(V& w, V g, V* s) const {
    if (decoupled)
      w = w * constant<V>(1 - lr * weight_decay);
    else if (weight_decay != 0)
      g = g + constant<V>(weight_decay) * w;
    s[0] = s[0] + constant<V>(1 - beta1) * (g - s[0]);
    s[1] = constant<V>(beta2) * s[1] + constant<V>(1 - beta2) * g * g;
    V v = s[1];
    if (amsgrad) v = s[2] = select(v < s[2], s[2], v);
    w = w - constant<V>(lr / correction1) * s[0] / (sqrt(v) / constant<V>(correction2_root) + constant<V>(eps));
  }
};

/// RMSprop (Tieleman and Hinton 2012; centered: Graves 2013):
/// g ← g + λw
/// v ← αv + (1−α)g²                           mean of the squares,  v = s[0]
/// a ← αa + (1−α)g                            centered: mean of the gradients,  a = the last state
/// d = √v + ε,  centered √(v − a²) + ε        v ≥ a² up to rounding; a negative difference becomes 0
/// b ← µb + g/d,  w ← w − ηb                  with momentum µ,  b = s[1];  without  w ← w − η·g/d
struct RMSprop {
  double lr = 1e-2, alpha = 0.99, eps = 1e-8, weight_decay = 0, momentum = 0;
  bool centered = false;

  bool operator==(const RMSprop&) const = default;
  constexpr int states() const { return 1 + (momentum > 0) + centered; }
  template <class V>
  HANDGRAD_HOST_DEVICE void step(V& w, V g, V* s) const {
    if (weight_decay != 0) g = g + constant<V>(weight_decay) * w;
    s[0] = constant<V>(alpha) * s[0] + constant<V>(1 - alpha) * g * g;
    V v = s[0];
    if (centered) {
      V& a = s[momentum > 0 ? 2 : 1];
      a = a + constant<V>(1 - alpha) * (g - a);
      v = v - a * a;
      v = select(v < constant<V>(0), constant<V>(0), v);
    }
    g = g / (sqrt(v) + constant<V>(eps));
    if (momentum > 0) g = s[1] = constant<V>(momentum) * s[1] + g;
    w = w - constant<V>(lr) * g;
  }
};

/// Adagrad (Duchi, Hazan and Singer 2011), in step t:
/// g ← g + λw
/// v ← v + g²                                 sum of the squares,  v = s[0]
/// w ← w − ηₜ·g/(√v + ε)                      ηₜ = η/(1 + (t−1)·lr_decay) is `lr` here
struct Adagrad {
  double lr = 1e-2, weight_decay = 0, eps = 1e-10;

  bool operator==(const Adagrad&) const = default;
  constexpr int states() const { return 1; }
  template <class V>
  HANDGRAD_HOST_DEVICE void step(V& w, V g, V* s) const {
    if (weight_decay != 0) g = g + constant<V>(weight_decay) * w;
    s[0] = s[0] + g * g;
    w = w - constant<V>(lr) * g / (sqrt(s[0]) + constant<V>(eps));
  }
};

/// Adadelta (Zeiler 2012): the step has the unit of w, being g times a quotient of two root mean squares:
/// g ← g + λw
/// v ← ρv + (1−ρ)g²                           mean of the squared gradients,  v = s[0]
/// d = g·√(u + ε)/√(v + ε)
/// u ← ρu + (1−ρ)d²                           mean of the squared steps,  u = s[1]
/// w ← w − ηd
struct Adadelta {
  double lr = 1, rho = 0.9, eps = 1e-6, weight_decay = 0;

  bool operator==(const Adadelta&) const = default;
  constexpr int states() const { return 2; }
  template <class V>
  HANDGRAD_HOST_DEVICE void step(V& w, V g, V* s) const {
    const V keep = constant<V>(rho), take = constant<V>(1 - rho), least = constant<V>(eps);
    if (weight_decay != 0) g = g + constant<V>(weight_decay) * w;
    s[0] = keep * s[0] + take * g * g;
    const V d = sqrt(s[1] + least) / sqrt(s[0] + least) * g;
    s[1] = keep * s[1] + take * d * d;
    w = w - constant<V>(lr) * d;
  }
};

/// NAdam (Dozat 2016), Adam with Nesterov's look-ahead, in step t:
/// g ← g + λw, or decoupled: w ← w − ηλw
/// m ← β₁m + (1−β₁)g,  v ← β₂v + (1−β₂)g²     as Adam's,  m = s[0],  v = s[1]
/// µₜ = β₁(1 − ½·0.96^(tψ))                   the momentum, growing from β₁/2; ψ = momentum_decay
/// w ← w − (a·g + b·m)/(√(v/c₂) + ε),   a = η(1 − µₜ)/(1 − Π µᵢ),  b = η·µₜ₊₁/(1 − µₜ₊₁·Π µᵢ),  Π over i ≤ t
struct NAdam {
  double lr = 2e-3, beta1 = 0.9, beta2 = 0.999, eps = 1e-8, weight_decay = 0;
  bool decoupled = false;
  double of_gradient = 0, of_mean = 0, correction2 = 1;  // a, b and c₂ of this step

  bool operator==(const NAdam&) const = default;
  constexpr int states() const { return 2; }
  template <class V>
  HANDGRAD_HOST_DEVICE void step(V& w, V g, V* s) const {
    if (decoupled)
      w = w * constant<V>(1 - lr * weight_decay);
    else if (weight_decay != 0)
      g = g + constant<V>(weight_decay) * w;
    s[0] = s[0] + constant<V>(1 - beta1) * (g - s[0]);
    s[1] = constant<V>(beta2) * s[1] + constant<V>(1 - beta2) * g * g;
    const V d = sqrt(s[1] / constant<V>(correction2)) + constant<V>(eps);
    w = w - constant<V>(of_gradient) * g / d - constant<V>(of_mean) * s[0] / d;
  }
};

/// Lion (Chen et al. 2023): all steps have the same size, and only their sign depends on the gradients:
/// w ← w − ηλw                                decoupled weight decay
/// w ← w − η·sign(β₁m + (1−β₁)g)              m = s[0]
/// m ← β₂m + (1−β₂)g
struct Lion {
  double lr = 1e-4, beta1 = 0.9, beta2 = 0.99, weight_decay = 0;

  bool operator==(const Lion&) const = default;
  constexpr int states() const { return 1; }
  template <class V>
  HANDGRAD_HOST_DEVICE void step(V& w, V g, V* s) const {
    const V zero = constant<V>(0), eta = constant<V>(lr);
    if (weight_decay != 0) w = w * constant<V>(1 - lr * weight_decay);
    const V u = constant<V>(beta1) * s[0] + constant<V>(1 - beta1) * g;
    w = w - select(u > zero, eta, select(u < zero, -eta, u));  // 0 and NaN are kept
    s[0] = constant<V>(beta2) * s[0] + constant<V>(1 - beta2) * g;
  }
};

/// The last line of Muon (lib/handgrad/optim/muon.hpp), where g is the orthogonalised momentum:
/// w ← w − ηλw − rate·g
struct Muon {
  double rate = 1e-3, decay = 0;  // decay = ηλ

  bool operator==(const Muon&) const = default;
  constexpr int states() const { return 0; }
  template <class V>
  HANDGRAD_HOST_DEVICE void step(V& w, V g, V*) const {
    w = w * constant<V>(1 - decay) - constant<V>(rate) * g;
  }
};

struct UpdateRule : std::variant<SGD, Adam, RMSprop, Adagrad, Adadelta, NAdam, Lion, Muon> {
  using variant::variant;
  static constexpr int most_states = 3;
};

}  // namespace handgrad::formulas
