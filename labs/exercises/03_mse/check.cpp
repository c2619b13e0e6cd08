#include "exercises/engine/check.hpp"

using namespace handgrad;
using namespace handgrad::exercises;

namespace {

double right(const Matrix& p, const Matrix& y) {
  double sum = 0;
  for (int n = 0; n < p.rows(); ++n)
    for (int c = 0; c < p.cols(); ++c) sum += std::pow(p(n, c) - y(n, c), 2);
  return sum / p.size();
}

}  // namespace

EXERCISE(mse, {"mse", "mse_delta"}) {
  const auto mse = check.function<double(const Matrix&, const Matrix&)>("mse");
  const auto mse_delta = check.function<Matrix(const Matrix&, const Matrix&)>("mse_delta");
  check.on_paper([=](int N, int, int C) -> Paper {
    const Matrix p = paper_matrix(N, C, 0), y = paper_matrix(N, C, 1);
    const double got = mse(p, y);
    const std::vector<std::pair<std::string, Tensor<double>>> inputs{{"p", tensor(p)}, {"t", tensor(y)}};
    if (!(std::abs(got - right(p, y)) <= 1e-9)) return {inputs, "L", tensor(got), tensor(right(p, y))};
    return {inputs, "delta", tensor(mse_delta(p, y)),
            slope(tensor(p), [&](const Tensor<double>& v) { return tensor(right(matrix(v), y)); })};
  });
  const Matrix p = random_matrix(5, 3, 1), y = random_matrix(5, 3, 2);
  Matrix paired(5, 3);
  for (int n = 0; n < 5; ++n)
    for (int c = 0; c < 3; ++c)
      for (int m = 0; m < 5; ++m) paired(n, c) += 2 * (p(n, c) - y(m, c)) / 75;
  const GradientStep step{tensor(p), tensor(right(p, y)), {}, tensor(y), {}, 5};
  check.value("L", tensor(mse(p, y)), tensor(right(p, y)), {}, step);
  check.gradient({"delta",
                  tensor(mse_delta(p, y)),
                  tensor(p),
                  [&](const Tensor<double>& value) { return tensor(right(matrix(value), y)); },
                  step,
                  {{tensor(paired), Cause::Pairing, "every prediction is taken with every target",
                    "it is the mean over all N×N pairs of rows", "pₙ goes with tₙ, of the same n"}}});
}
