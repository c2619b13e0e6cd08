#include "exercises/engine/check.hpp"

using namespace handgrad;
using namespace handgrad::exercises;

EXERCISE(l2, {"l2_loss", "l2_gradient"}) {
  const auto l2_loss = check.function<double(double, const Matrix&, double)>("l2_loss");
  const auto l2_gradient = check.function<void(const Matrix&, double, Matrix&)>("l2_gradient");
  check.on_paper([=](int, int D, int C) -> Paper {  // dW comes with the gradient of the data
    const Matrix W = paper_matrix(C, D, 0), data = paper_matrix(C, D, 1);
    const double lambda = 0.5;
    Matrix dW = data, right = data;
    double penalty = 0;
    for (int o = 0; o < C; ++o)
      for (int i = 0; i < D; ++i) penalty += lambda * W(o, i) * W(o, i), right(o, i) += 2 * lambda * W(o, i);
    l2_gradient(W, lambda, dW);
    return first_wrong(
        {{"L", tensor(1.0)}, {"W", tensor(W)}, {"lambda", tensor(lambda)}, {"dW", tensor(data)}},
        {{"L + penalty", tensor(l2_loss(1, W, lambda)), tensor(1 + penalty)}, {"dW", tensor(dW), tensor(right)}});
  });
  const Matrix x = random_matrix(5, 3, 1), W = random_matrix(7, 3, 2), delta = random_matrix(5, 7, 4);
  const double lambda = 0.1;
  const auto total = [&](const Matrix& weights) {  // Σ (x·Wᵀ)∘δ stands for the loss
    Tensor<double> terms = projected(linear(x, weights, Vector(7)), delta);
    Tensor<double> all = Tensor<double>::empty({35 + 21});
    for (std::size_t i = 0; i < 35; ++i) all.data()[i] = terms.data()[i];
    for (std::size_t i = 0; i < 21; ++i) all.data()[35 + i] = lambda * std::pow(weights.elements()[i], 2);
    return all;
  };
  double penalty = 0;
  for (const double weight : W.elements()) penalty += lambda * weight * weight;
  check.value("L", tensor(l2_loss(0.5, W, lambda)), tensor(0.5 + penalty),
              {{tensor(penalty), Cause::Other, "the loss of the data is missing", "it is λ·ΣW² alone", "L + λ·ΣW²"},
               {tensor(0.5), Cause::Other, "the penalty is missing", "it is L alone", "L + λ·ΣW²"}});
  Matrix dW(7, 3), alone(7, 3);
  for (int n = 0; n < 5; ++n)
    for (int o = 0; o < 7; ++o)
      for (int i = 0; i < 3; ++i) dW(o, i) += delta(n, o) * x(n, i), alone(o, i) = 2 * lambda * W(o, i);
  l2_gradient(W, lambda, dW);
  check.gradient({"dW",
                  tensor(dW),
                  tensor(W),
                  [&](const Tensor<double>& value) { return total(matrix(value)); },
                  {},
                  {{tensor(alone), Cause::Overwritten, "the gradient of the data is overwritten", "it is 2λ·W alone",
                    "dW holds ∂L/∂W already: +="}}});
}
