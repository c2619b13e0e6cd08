#pragma once
// One element's update in each optimizer: w the parameter, g = ∂L/∂w, and what the optimizer remembers of earlier
// steps.
#include "kernels/formulas/math.hpp"

namespace handgrad::formulas {

/// g ← g + λw                      weight decay: the gradient of ½λw²
/// v ← µv + g   (v ← g at first)   momentum
/// w ← w − η(g + µv) with Nesterov's look ahead,  w ← w − ηv without,  w ← w − ηg without momentum
struct SGD {
  double lr = 1e-3, momentum = 0, weight_decay = 0;
  bool nesterov = false;

  template <class V>
  HANDGRAD_HOST_DEVICE void step(V& w, V g) const {
    g = decayed(w, g);
    w = w - constant<V>(lr) * g;
  }
  template <class V>
  HANDGRAD_HOST_DEVICE void step(V& w, V g, V& v, bool first) const {
    const V mu = constant<V>(momentum);
    g = decayed(w, g);
    v = first ? g : mu * v + g;
    w = w - constant<V>(lr) * (nesterov ? g + mu * v : v);
  }

 private:
  template <class V>
  HANDGRAD_HOST_DEVICE V decayed(V w, V g) const {
    return weight_decay == 0 ? g : g + constant<V>(weight_decay) * w;
  }
};

}  // namespace handgrad::formulas
