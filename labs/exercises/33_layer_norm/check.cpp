#include "exercises/engine/norm.hpp"

using namespace handgrad;
using namespace handgrad::exercises;

namespace {

struct Normalised {
  Matrix hat;
  Vector s;
};
Normalised normalised(const Matrix& x, double eps) {
  Normalised result{Matrix(x.rows(), x.cols()), Vector(x.rows())};
  const int D = x.cols();
  for (int n = 0; n < x.rows(); ++n) {
    double mean = 0, var = 0;
    for (int i = 0; i < D; ++i) mean += x(n, i) / D;
    for (int i = 0; i < D; ++i) var += std::pow(x(n, i) - mean, 2) / D;
    result.s(n) = 1 / std::sqrt(var + eps);
    for (int i = 0; i < D; ++i) result.hat(n, i) = (x(n, i) - mean) * result.s(n);
  }
  return result;
}

}  // namespace

EXERCISE(layer_norm, {"layer_norm", "layer_norm_backward"}) {
  const auto forward = check.function<NormForward>("layer_norm");
  const auto backward = check.function<NormBackward>("layer_norm_backward");
  check.on_paper(3, [=](int k) -> Paper {  // eps = 0: for 1 and 3 μ is 2, s is 1
    const Matrix x = k == 0   ? matrix(tensor(Vector{1, 3}).reshape({1, 2}))
                     : k == 1 ? matrix(tensor(Vector{1, 3, 1, 3}).reshape({1, 4}))
                              : paper_matrix(2, 3, 0);
    return norm_on_paper(x, forward, backward, [](const Matrix& v) { return normalised(v, 0).hat; });
  });
  const int N = 7, D = 5;
  const double eps = 1e-5;
  const Matrix x = random_matrix(N, D, 1), delta = random_matrix(N, D, 4);
  const Vector gamma = random_vector(D, 2), beta = random_vector(D, 3);
  const auto [hat, s] = normalised(x, eps);
  const Matrix y = scaled(hat, gamma, beta);
  check.value("y", tensor(forward(x, gamma, beta, eps)), tensor(y));
  Vector dbeta(D), dgamma(D);
  Matrix dx(N, D), outside(N, D);
  backward(delta, x, gamma, eps, dbeta, dgamma, dx);
  for (int n = 0; n < N; ++n) {  // γ omitted from the first mean
    double mean = 0, mean_gx = 0;
    for (int i = 0; i < D; ++i) mean += delta(n, i) / D, mean_gx += gamma(i) * delta(n, i) * hat(n, i) / D;
    for (int i = 0; i < D; ++i) outside(n, i) = s(n) * (gamma(i) * delta(n, i) - mean - hat(n, i) * mean_gx);
  }
  const GradientStep step{tensor(x), tensor(y), tensor(delta), {}, {{"gamma", tensor(gamma)}, {"beta", tensor(beta)}},
                          7};
  using T = Tensor<double>;
  Vector plain(D);
  for (int n = 0; n < N; ++n)
    for (int i = 0; i < D; ++i) plain(i) += delta(n, i);
  const Matrix normal = hat;
  check.gradient({"dbeta", tensor(dbeta), tensor(beta),
                  [&](const T& v) { return projected(scaled(normal, gamma, vector(v)), delta); }, step});
  check.gradient({"dgamma",
                  tensor(dgamma),
                  tensor(gamma),
                  [&](const T& v) { return projected(scaled(normal, vector(v), beta), delta); },
                  step,
                  {{tensor(plain), Cause::Other, "x̂ is missing in dγ", "Σₙ δₙ is what you have: that is dβ",
                    "yₙ = γ∘x̂ₙ + β, so dγ = Σₙ δₙ∘x̂ₙ"}}});
  check.gradient(
      {"dx",
       tensor(dx),
       tensor(x),
       [&](const T& v) { return projected(scaled(normalised(matrix(v), eps).hat, gamma, beta), delta); },
       step,
       {{tensor(outside), Cause::Other, "the first mean is one of δ, not of g = γ∘δ",
         "with mean(δ) one gets exactly your dx", "γ differs from feature to feature and stays inside the means"}}});
}
