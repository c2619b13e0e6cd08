#include "exercises/engine/norm.hpp"

using namespace handgrad;
using namespace handgrad::exercises;

namespace {

/// x̂ = (x − μ)/s, with the variance divided by N − less.
Matrix normalised(const Matrix& x, double eps, int less = 0) {
  Matrix hat(x.rows(), x.cols());
  const int N = x.rows();
  for (int c = 0; c < x.cols(); ++c) {
    double mean = 0, var = 0;
    for (int n = 0; n < N; ++n) mean += x(n, c) / N;
    for (int n = 0; n < N; ++n) var += std::pow(x(n, c) - mean, 2) / (N - less);
    for (int n = 0; n < N; ++n) hat(n, c) = (x(n, c) - mean) / std::sqrt(var + eps);
  }
  return hat;
}

}  // namespace

EXERCISE(batch_norm, {"batch_norm", "batch_norm_backward"}) {
  const auto forward = check.function<NormForward>("batch_norm");
  const auto backward = check.function<NormBackward>("batch_norm_backward");
  check.on_paper(3, [=](int k) -> Paper {  // eps = 0: for 1 and 3 μ is 2, s is 1
    const Matrix x = k == 0   ? matrix(tensor(Vector{1, 3}).reshape({2, 1}))
                     : k == 1 ? matrix(tensor(Vector{1, 3, 1, 3}).reshape({4, 1}))
                              : paper_matrix(3, 2, 0);
    return norm_on_paper(x, forward, backward, [](const Matrix& v) { return normalised(v, 0); });
  });
  const int N = 7, C = 3;
  const double eps = 1e-5;
  const Matrix x = random_matrix(N, C, 1), delta = random_matrix(N, C, 4), hat = normalised(x, eps);
  const Vector gamma = random_vector(C, 2), beta = random_vector(C, 3);
  const Matrix y = scaled(hat, gamma, beta);
  check.value("y", tensor(forward(x, gamma, beta, eps)), tensor(y),
              {{tensor(scaled(normalised(x, eps, 1), gamma, beta)), Cause::Other, "the variance is divided by N − 1",
                "with N it is right", "v = 1/N Σ (x − μ)²: here it is the batch itself that is described"},
               {tensor(scaled(hat, gamma, Vector(C))), Cause::Other, "β is missing", "it is γ·x̂", "y = γ·x̂ + β"}});
  Vector dbeta(C), dgamma(C);
  Matrix dx(N, C);
  backward(delta, x, gamma, eps, dbeta, dgamma, dx);

  Matrix own(N, C), without_s(N, C), without_mean(N, C);  // dx with some of its paths to L omitted
  for (int c = 0; c < C; ++c) {
    double mean_g = 0, mean_gx = 0, range_x = x(1, c) - x(0, c);
    const double s = range_x / (hat(1, c) - hat(0, c));
    for (int n = 0; n < N; ++n) mean_g += delta(n, c) * gamma(c) / N, mean_gx += delta(n, c) * gamma(c) * hat(n, c) / N;
    for (int n = 0; n < N; ++n) {
      own(n, c) = delta(n, c) * gamma(c) / s;
      without_s(n, c) = own(n, c) - mean_g / s;
      without_mean(n, c) = own(n, c) - hat(n, c) * mean_gx / s;
    }
  }
  GradientStep step;
  step.dy = tensor(delta);
  step.batch = 7;
  using T = Tensor<double>;
  const std::string where = "x reaches L through x̂, through μ and through s: dx = (g − mean(g) − x̂·mean(g∘x̂))/s";
  check.gradient({"dbeta", tensor(dbeta), tensor(beta),
                  [&](const T& v) { return projected(scaled(hat, gamma, vector(v)), delta); }, step});
  check.gradient({"dgamma",
                  tensor(dgamma),
                  tensor(gamma),
                  [&](const T& v) { return projected(scaled(hat, vector(v), beta), delta); },
                  step,
                  {}});
  check.gradient(
      {"dx",
       tensor(dx),
       tensor(x),
       [&](const T& v) { return projected(scaled(normalised(matrix(v), eps), gamma, beta), delta); },
       step,
       {{tensor(own), Cause::Other, "μ and s are taken for constants", "it is δ·γ/s", where},
        {tensor(without_s), Cause::Other, "s is taken for a constant", "the term x̂·mean(g∘x̂) is missing", where},
        {tensor(without_mean), Cause::Other, "μ is taken for a constant", "the term mean(g) is missing", where}}});
}
