#pragma once
// One element's update in each optimizer: w the parameter, g = ∂L/∂w, and in s[0], s[1], … what the optimizer remembers
// of earlier steps, zero before the first. `states()` says how many of these there are. The rules and the order of
// their operations are those of PyTorch's torch.optim, so that runs can be compared digit by digit.
#include <variant>

#include "kernels/formulas/math.hpp"

namespace handgrad::formulas {

/// g ← g + λw                      weight decay: the gradient of ½λw²
/// v ← µv + g                      momentum, v = s[0]; v = g at first, as v was zero
/// w ← w − η(g + µv) with Nesterov's look ahead,  w ← w − ηv without,  w ← w − ηg without momentum
struct SGD {
  double lr = 1e-3, momentum = 0, weight_decay = 0;
  bool nesterov = false;

  bool operator==(const SGD&) const = default;
  int states() const { return momentum != 0; }
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
/// g ← g + λw, or decoupled: w ← w − ηλw, which the division below does not touch
/// m ← β₁m + (1−β₁)g = m + (1−β₁)(g − m)      mean of the gradients,  m = s[0]
/// v ← β₂v + (1−β₂)g²                         mean of their squares,  v = s[1]
/// Both began at 0, so that with g constant m = (1−β₁ᵗ)g: divided by the corrections cᵢ = 1−βᵢᵗ they are unbiased.
/// w ← w − η·(m/c₁) / (√(v/c₂) + ε)
struct Adam {
  double lr = 1e-3, beta1 = 0.9, beta2 = 0.999, eps = 1e-8, weight_decay = 0;
  bool decoupled = false;
  double correction1 = 1, correction2_root = 1;  // c₁ and √c₂ of this step

  bool operator==(const Adam&) const = default;
  int states() const { return 2; }
  template <class V>
  HANDGRAD_HOST_DEVICE void step(V& w, V g, V* s) const {
    if (decoupled)
      w = w * constant<V>(1 - lr * weight_decay);
    else if (weight_decay != 0)
      g = g + constant<V>(weight_decay) * w;
    s[0] = s[0] + constant<V>(1 - beta1) * (g - s[0]);
    s[1] = constant<V>(beta2) * s[1] + constant<V>(1 - beta2) * g * g;
    w = w - constant<V>(lr / correction1) * s[0] / (sqrt(s[1]) / constant<V>(correction2_root) + constant<V>(eps));
  }
};

/// RMSprop (Tieleman and Hinton 2012; centered: Graves 2013):
/// g ← g + λw
/// v ← αv + (1−α)g²                           mean of the squares,  v = s[0]
/// a ← αa + (1−α)g                            centered: mean of the gradients,  a = the last state
/// d = √v + ε,  centered √(v − a²) + ε        v ≥ a², but for their rounding: below 0 it is 0
/// b ← µb + g/d,  w ← w − ηb                  with momentum µ,  b = s[1];  without  w ← w − η·g/d
struct RMSprop {
  double lr = 1e-2, alpha = 0.99, eps = 1e-8, weight_decay = 0, momentum = 0;
  bool centered = false;

  bool operator==(const RMSprop&) const = default;
  int states() const { return 1 + (momentum > 0) + centered; }
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

/// Any one of them.
struct UpdateRule : std::variant<SGD, Adam, RMSprop> {
  using variant::variant;
  static constexpr int most_states = 3;
};

}  // namespace handgrad::formulas
