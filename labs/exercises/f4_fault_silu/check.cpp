#include "exercises/engine/check.hpp"

using namespace handgrad;
using namespace handgrad::exercises;

EXERCISE(fault_silu, {"silu_backward"}) {
  const auto backward = check.function<Matrix(const Matrix&, const Matrix&)>("silu_backward");
  check.on_paper([=](int N, int, int C) -> Paper {
    const Matrix z = paper_matrix(N, C, 0), delta = paper_matrix(N, C, 1);
    return {{{"delta", tensor(delta)}, {"z", tensor(z)}},
            "dz",
            tensor(backward(delta, z)),
            slope(tensor(z), [&](const Tensor<double>& v) {
              return projected(each(matrix(v), [](double x) { return x * sigmoid(x); }), delta);
            })};
  });
  const Matrix z = random_matrix(5, 7, 1), delta = random_matrix(5, 7, 4);
  Matrix at_y(5, 7), no_product(5, 7);
  for (int n = 0; n < 5; ++n)
    for (int c = 0; c < 7; ++c) {
      const double y = z(n, c) * sigmoid(z(n, c)), s = sigmoid(y);
      at_y(n, c) = delta(n, c) * (s + y * s * (1 - s));
      no_product(n, c) = delta(n, c) * sigmoid(z(n, c));
    }
  check.gradient({"dz",
                  tensor(backward(delta, z)),
                  tensor(z),
                  [&](const Tensor<double>& v) {
                    return projected(each(matrix(v), [](double x) { return x * sigmoid(x); }), delta);
                  },
                  {},
                  {{tensor(at_y), Cause::WrongVariable, "the derivative of SiLU is taken of the wrong variable",
                    "it is δ·φ′(y), with y = z·σ(z) in the place of z", "φ′(z) = σ(z) + z·σ(z)(1 − σ(z))"},
                   {tensor(no_product), Cause::TermMissing, "a term of the product rule is missing",
                    "it is δ·σ(z) alone", "(z·σ)′ = σ + z·σ′"}}});
}
