#include "exercises/engine/check.hpp"

using namespace handgrad;
using namespace handgrad::exercises;

EXERCISE(fault_layer_norm, {"layer_norm_backward"}) {
  const auto backward =
      check.function<Matrix(const Matrix&, const Matrix&, const Vector&, const Vector&)>("layer_norm_backward");
  check.on_paper(2, [=](int k) -> Paper {  // x̂ has mean 0 and mean square 1, r is 1
    Matrix xhat(1, 4, 1);
    xhat(0, 0) = xhat(0, 1) = -1;
    const Matrix delta = paper_matrix(1, 4, 1);
    const Vector gamma = k == 0 ? Vector(4, 1) : Vector{2, 1, 1, 1}, r(1, 1);
    Matrix dx(1, 4);
    double mean = 0, along = 0;
    for (int c = 0; c < 4; ++c) mean += gamma(c) * delta(0, c) / 4, along += gamma(c) * delta(0, c) * xhat(0, c) / 4;
    for (int c = 0; c < 4; ++c) dx(0, c) = gamma(c) * delta(0, c) - mean - xhat(0, c) * along;
    return {{{"delta", tensor(delta)}, {"xhat", tensor(xhat)}, {"r", tensor(r)}, {"gamma", tensor(gamma)}},
            "dx",
            tensor(backward(delta, xhat, r, gamma)),
            tensor(dx)};
  });
  const Matrix x = random_matrix(5, 7, 1), delta = random_matrix(5, 7, 4);
  const Vector gamma = random_vector(7, 2);
  Vector r(5);
  const auto normal = [](const Matrix& in, Vector& scale) {
    Matrix hat = in;
    for (int n = 0; n < 5; ++n) {
      double mean = 0, var = 0;
      for (int c = 0; c < 7; ++c) mean += in(n, c) / 7;
      for (int c = 0; c < 7; ++c) var += (in(n, c) - mean) * (in(n, c) - mean) / 7;
      scale(n) = 1 / std::sqrt(var + 1e-5);
      for (int c = 0; c < 7; ++c) hat(n, c) = (in(n, c) - mean) * scale(n);
    }
    return hat;
  };
  const Matrix xhat = normal(x, r);
  const auto gradient = [&](const Vector& once, const Vector& again) {
    Matrix dx(5, 7);
    for (int n = 0; n < 5; ++n) {
      double mean_g = 0, mean_gx = 0;
      for (int c = 0; c < 7; ++c) {
        mean_g += once(c) * delta(n, c) / 7;
        mean_gx += once(c) * delta(n, c) * xhat(n, c) / 7;
      }
      for (int c = 0; c < 7; ++c) dx(n, c) = again(c) * r(n) * (once(c) * delta(n, c) - mean_g - xhat(n, c) * mean_gx);
    }
    return tensor(dx);
  };
  check.gradient({"dx",
                  tensor(backward(delta, xhat, r, gamma)),
                  tensor(x),
                  [&](const Tensor<double>& v) {
                    Vector scale(5);
                    Matrix y = normal(matrix(v), scale);
                    for (int n = 0; n < 5; ++n)
                      for (int c = 0; c < 7; ++c) y(n, c) *= gamma(c);
                    return projected(y, delta);
                  },
                  {},
                  {{gradient(gamma, gamma), Cause::Other, "γ is in dx twice",
                    "dividing each column by γ makes it right", "g = γ∘δ has γ in it; r·(…) needs it no more"},
                   {gradient(Vector(7, 1), Vector(7, 1)), Cause::Other, "γ is missing in dx",
                    "it would be right for γ = 1", "g = γ∘δ: γ belongs inside of the means, too"}}});
}
