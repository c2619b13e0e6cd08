#pragma once
#include <handgrad/handgrad.hpp>

namespace handgrad::labs {

/// y = sin(h)·exp(−h²/32) with h = w₁ + 0.06·w₂·x: notebook 002's model, element by element for x of any shape.
///
/// Derivation: dy/dh = exp(−h²/32)·(cos h − sin(h)·h/16); ∂h/∂w₁ = 1, ∂h/∂w₂ = 0.06·x, ∂h/∂x = 0.06·w₂, hence with
/// g = δ∘dy/dh:   dw₁ = Σ g,   dw₂ = 0.06·Σ g∘x,   dx = 0.06·w₂·g
class Gabor : public Layer<float> {
 public:
  Gabor(float first, float second)
      : w1(register_parameter("w1", full<float>({1}, first))), w2(register_parameter("w2", full<float>({1}, second))) {}

  Parameter<float> w1, w2;

  trace::Derivation derivation(const Shape&) const override {
    return {.forward = {"h = w1 + 0.06·w2·x", "y = sin(h)·exp(−h²/32)"},
            .backward = {{"g = δ∘∂y/∂h", "g = δ·exp(−h²/32)·(cos(h) − sin(h)·h/16)"},
                         {"dw1 = Σ g", "dw1 = sum(i: g[i])"},
                         {"dw2 = 0.06·Σ g∘x", "dw2 = 0.06·sum(i: g[i]·x[i])"},
                         "dx = 0.06·w2·g"}};
  }

 protected:
  void forward_into(const Tensor<float>& x, Tensor<float>& y) override {
    const auto h = w1.value().item() + 0.06f * w2.value().item() * x.xt();
    y.xt() = xt::sin(h) * xt::exp(-h * h / 32);
  }
  void backward_into(const Tensor<float>& x, const Tensor<float>&, const Tensor<float>& dy,
                     Tensor<float>& dx) override {
    const auto h = w1.value().item() + 0.06f * w2.value().item() * x.xt();
    const Tensor<float> g = dy.xt() * xt::exp(-h * h / 32) * (xt::cos(h) - xt::sin(h) * h / 16);
    w1.accumulate(Tensor<float>(Shape{1}, {xt::sum(g.xt())()}).xt());
    w2.accumulate(Tensor<float>(Shape{1}, {0.06f * xt::sum(g.xt() * x.xt())()}).xt());
    dx.xt() = 0.06f * w2.value().item() * g.xt();
  }
};

}  // namespace handgrad::labs
