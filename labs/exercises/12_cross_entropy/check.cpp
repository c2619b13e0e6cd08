#include "exercises/engine/check.hpp"

using namespace handgrad;
using namespace handgrad::exercises;

namespace {

double right(const Matrix& z, const std::vector<int>& t) {
  double total = 0;
  for (int n = 0; n < z.rows(); ++n) {
    double top = z(n, 0), sum = 0;
    for (int j = 0; j < z.cols(); ++j) top = std::max(top, z(n, j));
    for (int j = 0; j < z.cols(); ++j) sum += std::exp(z(n, j) - top);
    total += std::log(sum) + top - z(n, t[static_cast<std::size_t>(n)]);
  }
  return total / z.rows();
}

}  // namespace

EXERCISE(cross_entropy, {"cross_entropy", "cross_entropy_delta"}) {
  const auto loss = check.function<double(const Matrix&, const std::vector<int>&)>("cross_entropy");
  const auto loss_delta = check.function<Matrix(const Matrix&, const std::vector<int>&)>("cross_entropy_delta");
  check.on_paper([=](int N, int, int C) -> Paper {
    const Matrix z(N, C + 1);  // all p equal
    std::vector<int> t;
    Vector classes(N);
    for (int n = 0; n < N; ++n) t.push_back((n + 1) % (C + 1)), classes(n) = t.back();
    const double got = loss(z, t);
    const std::vector<std::pair<std::string, Tensor<double>>> inputs{{"z", tensor(z)}, {"t", tensor(classes)}};
    if (!(std::abs(got - right(z, t)) <= 1e-9)) return {inputs, "L", tensor(got), tensor(right(z, t))};
    return {inputs, "delta", tensor(loss_delta(z, t)),
            slope(tensor(z), [&](const Tensor<double>& v) { return tensor(right(matrix(v), t)); })};
  });
  const Matrix z = random_matrix(5, 3, 1);
  const std::vector<int> t{0, 2, 1, 1, 2};
  Matrix no_target(5, 3), by_p(5, 3), large(1, 3);
  large(0, 1) = 1000;
  for (int n = 0; n < 5; ++n)
    for (int j = 0; j < 3; ++j) {
      double sum = 0;
      for (int k = 0; k < 3; ++k) sum += std::exp(z(n, k));
      no_target(n, j) = std::exp(z(n, j)) / sum / 5;
      if (j == t[static_cast<std::size_t>(n)]) by_p(n, j) = -1 / (no_target(n, j) * 25);
    }
  const GradientStep step{tensor(z), tensor(right(z, t)), {}, Tensor<double>{0, 2, 1, 1, 2}, {}, 5};
  check.value("L", tensor(loss(z, t)), tensor(right(z, t)), {}, step);
  check.value("L, z₁ = 1000", tensor(loss(large, {0})), tensor(right(large, {0})));
  check.gradient(
      {"delta",
       tensor(loss_delta(z, t)),
       tensor(z),
       [&](const Tensor<double>& value) { return tensor(right(matrix(value), t)); },
       step,
       {{tensor(no_target), Cause::TermMissing, "the right class is missing", "this is p/N alone",
         "1 is taken off p where i = tₙ"},
        {tensor(by_p), Cause::DerivativeMissing, "this is ∂L/∂p, not ∂L/∂z: the softmax's derivative is missing",
         "it is −1/p for the right class, over N", "through the softmax it becomes p − 1 there, and p elsewhere"}}});
}
