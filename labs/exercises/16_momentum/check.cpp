#include "exercises/engine/check.hpp"

using namespace handgrad;
using namespace handgrad::exercises;

EXERCISE(momentum, {"momentum_step"}) {
  const auto step = check.function<void(Vector&, Vector&, const Vector&, double, double)>("momentum_step");
  check.on_paper(2, [=](int k) -> Paper {
    const int D = k + 1;
    const double lr = 0.5, mu = 0.75;
    const Vector w = paper_vector(D, 0), v = paper_vector(D, 2), g = paper_vector(D, 1);
    Vector w1 = w, v1 = v, right_w = w, right_v = v;
    for (int i = 0; i < D; ++i) right_v(i) = mu * v(i) + g(i), right_w(i) = w(i) - lr * right_v(i);
    step(w1, v1, g, lr, mu);
    return first_wrong({{"w", tensor(w)}, {"v", tensor(v)}, {"g", tensor(g)}, {"lr", tensor(lr)}, {"mu", tensor(mu)}},
                       {{"v", tensor(v1), tensor(right_v)}, {"w", tensor(w1), tensor(right_w)}});
  });
  const double lr = 0.1, mu = 0.9;
  const Vector w0 = random_vector(7, 1), v0 = random_vector(7, 2), g = random_vector(7, 3);
  const auto make = [&](auto&& f) {
    Vector made(7);
    for (int i = 0; i < 7; ++i) made(i) = f(i);
    return tensor(made);
  };
  const auto v1 = [&](int i) { return mu * v0(i) + g(i); };
  Vector w = w0, v = v0;
  step(w, v, g, lr, mu);
  check.value(
      "v", tensor(v), make(v1),
      {{make([&](int i) { return g(i); }), Cause::Other, "the old velocity is missing", "v is g alone", "v = μ·v + g"},
       {make([&](int i) { return mu * v0(i) + lr * g(i); }), Cause::Other, "η is in the velocity", "v is μ·v + η·g",
        "η comes in the second line: w − η·v"},
       {make([&](int i) { return mu * v0(i) + (1 - mu) * g(i); }), Cause::Other, "the velocity is a mean",
        "v is μ·v + (1−μ)·g", "v = μ·v + g: g comes whole"},
       {make([&](int i) { return mu * v0(i) - g(i); }), Cause::Sign, "the sign of g in v is wrong", "v is μ·v − g",
        "v = μ·v + g; the minus is in the step of w"}});
  check.value("w", tensor(w), make([&](int i) { return w0(i) - lr * v1(i); }),
              {{make([&](int i) { return w0(i) + lr * v1(i); }), Cause::Sign, "the step goes uphill: its sign is wrong",
                "w is w + η·v", "against the gradient: w = w − η·v"},
               {make([&](int i) { return w0(i) - lr * g(i); }), Cause::Other, "the velocity is not used",
                "w is w − η·g", "w = w − η·v"},
               {make([&](int i) { return w0(i) - v1(i); }), Cause::Other, "the rate η is missing", "w is w − v",
                "w = w − η·v"}});
}
