#include "exercises/engine/check.hpp"

using namespace handgrad;
using namespace handgrad::exercises;

namespace {

double right(const Matrix& z, const Matrix& t) {
  double sum = 0;
  for (int n = 0; n < z.rows(); ++n)
    for (int c = 0; c < z.cols(); ++c)
      sum += std::max(z(n, c), 0.0) - z(n, c) * t(n, c) + std::log1p(std::exp(-std::abs(z(n, c))));
  return sum / z.size();
}

}  // namespace

EXERCISE(bce_with_logits, {"bce_with_logits", "bce_with_logits_delta"}) {
  const auto loss = check.function<double(const Matrix&, const Matrix&)>("bce_with_logits");
  const auto loss_delta = check.function<Matrix(const Matrix&, const Matrix&)>("bce_with_logits_delta");
  check.on_paper(static_cast<int>(std::size(paper_sizes)) + 1, [=](int k) -> Paper {
    const bool large = k == static_cast<int>(std::size(paper_sizes));  // e¹⁰⁰⁰ is no number
    const int N = large ? 1 : paper_sizes[k][0], C = large ? 1 : paper_sizes[k][2];
    const Matrix z(N, C, large ? 1000 : 0),
        t = each(paper_matrix(N, C, 0), [](double v) { return v > 0; });  // z = 0, so p = ½
    const double got = loss(z, t);
    const std::vector<std::pair<std::string, Tensor<double>>> inputs{{"z", tensor(z)}, {"t", tensor(t)}};
    if (!(std::abs(got - right(z, t)) <= 1e-9)) return {inputs, "L", tensor(got), tensor(right(z, t))};
    return {inputs, "delta", tensor(loss_delta(z, t)),
            slope(tensor(z), [&](const Tensor<double>& v) { return tensor(right(matrix(v), t)); })};
  });
  const Matrix z = random_matrix(5, 3, 1), t = each(random_matrix(5, 3, 2), [](double v) { return v > 0; });
  Matrix large(1, 2);
  large(0, 0) = 1000;
  large(0, 1) = -900;
  const GradientStep step{tensor(z), tensor(right(z, t)), {}, tensor(t), {}, 5};
  check.value("L", tensor(loss(z, t)), tensor(right(z, t)), {}, step);
  check.value("L, z = 1000", tensor(loss(large, Matrix(1, 2))), tensor(right(large, Matrix(1, 2))));
  check.gradient({"delta", tensor(loss_delta(z, t)), tensor(z),
                  [&](const Tensor<double>& value) { return tensor(right(matrix(value), t)); }, step});
}
