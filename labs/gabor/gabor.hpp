#pragma once
#include <handgrad/handgrad.hpp>

/// A user's own layer: the Gabor function of one variable with two parameters, for x of any shape.
///
///     h = w₁ + 0.06·w₂·x        y = sin h · e^(−h²/32)
///
///     ∂y/∂h  = cos h · e^(−h²/32) + sin h · e^(−h²/32)·(−2h/32) = e^(−h²/32)·(cos h − (h/16)·sin h)
///     ∂h/∂w₁ = 1,  ∂h/∂w₂ = 0.06·x,  ∂h/∂x = 0.06·w₂;  with δ = ∂L/∂y and g = δ ∘ ∂y/∂h
///     dw₁ = Σ g        dw₂ = Σ g·0.06·x        dx = g·0.06·w₂
template <class T = float>
class Gabor : public handgrad::Layer<T> {
 public:
  explicit Gabor(double start_w1 = 0, double start_w2 = 0)
      : w1(this->register_parameter("w1", handgrad::full<T>({1}, static_cast<T>(start_w1)))),
        w2(this->register_parameter("w2", handgrad::full<T>({1}, static_cast<T>(start_w2)))) {}

  handgrad::Parameter<T> w1, w2;

  handgrad::trace::Derivation derivation(const handgrad::Shape&) const override {
    using handgrad::trace::Why;
    return {
        .forward = {{"h = w1 + 0.06·w2·x", Why{"A line: w₁ moves the wave, w₂ makes it denser."}},
                    {"y = sin(h)∘exp(−h²/32)", Why{"A wave under a bell: what is far from the middle counts little."}}},
        .backward = {
            {"g = δ∘∂y/∂h", "g = δ·exp(−h²/32)·(cos(h) − h/16·sin(h))",
             Why{"The product rule on wave and bell, times δ: ∂L/∂h, which all three below share."}},
            {"dw1 = Σ g", "dw1 = sum(i: g[i])", Why{"w₁ is in every h with the factor 1: so each adds its g."}},
            {"dw2 = Σ g∘0.06·x", "dw2 = sum(i: g[i]·0.06·x[i])",
             Why{"w₂ is in every h with the factor 0.06·x: so each adds g·0.06·x."}},
            {"dx = g·0.06·w2", Why{"x is in its own h alone, with the factor 0.06·w₂."}}}};
  }

 protected:
  using Tensor = handgrad::Tensor<T>;

  // xtensor computes on the CPU; cpu() and copy_from move tensors of other devices there and back.
  void forward_into(const Tensor& x, Tensor& y) override {
    const auto h = preactivation(x.cpu());
    y.copy_from(xt::sin(h) * xt::exp(-h * h / 32));
  }

  void backward_into(const Tensor& x, const Tensor&, const Tensor& dy, Tensor& dx) override {
    const Tensor x_cpu = x.cpu(), dy_cpu = dy.cpu();
    const auto h = preactivation(x_cpu);
    const xt::xarray<T> g = dy_cpu.xt() * xt::exp(-h * h / 32) * (xt::cos(h) - h / 16 * xt::sin(h));
    w1.accumulate(sum(g));
    w2.accumulate(sum(g * T(0.06) * x_cpu.xt()));
    dx.copy_from(g * T(0.06) * w2.value().item());
  }

 private:
  xt::xarray<T> preactivation(const Tensor& x) const {
    return w1.value().item() + T(0.06) * w2.value().item() * x.xt();
  }
  /// Reshaped to a parameter, (1).
  template <class E>
  static xt::xarray<T> sum(const E& e) {
    return {static_cast<T>(xt::sum(e)())};
  }
};
