#include "exercises/engine/check.hpp"

using namespace handgrad;
using namespace handgrad::exercises;

EXERCISE(fault_residual, {"residual_backward"}) {
  const auto backward = check.function<Matrix(const Matrix&, const Matrix&)>("residual_backward");
  check.on_paper([=](int N, int D, int) -> Paper {
    const Matrix W = paper_matrix(D, D, 0), delta = paper_matrix(N, D, 1);
    return {{{"delta", tensor(delta)}, {"W", tensor(W)}},
            "dx",
            tensor(backward(delta, W)),
            slope(tensor(Matrix(N, D)), [&](const Tensor<double>& v) {
              const Matrix x = matrix(v);
              Matrix y = linear(x, W, Vector(D));
              for (int n = 0; n < N; ++n)
                for (int i = 0; i < D; ++i) y(n, i) += x(n, i);
              return projected(y, delta);
            })};
  });
  const Matrix x = random_matrix(5, 7, 1), W = random_matrix(7, 7, 2), delta = random_matrix(5, 7, 4);
  const auto forward = [&](const Matrix& in) {
    Matrix y = linear(in, W, Vector(7));
    for (int n = 0; n < 5; ++n)
      for (int i = 0; i < 7; ++i) y(n, i) += in(n, i);
    return y;
  };
  Matrix branch(5, 7);
  for (int n = 0; n < 5; ++n)
    for (int i = 0; i < 7; ++i)
      for (int o = 0; o < 7; ++o) branch(n, i) += delta(n, o) * W(o, i);
  check.gradient({"dx",
                  tensor(backward(delta, W)),
                  tensor(x),
                  [&](const Tensor<double>& v) { return projected(forward(matrix(v)), delta); },
                  {},
                  {{tensor(branch), Cause::BranchMissing, "the δ of the skip connection is missing in dx",
                    "it is δ·W alone", "x goes into y twice: the gradients of both uses add up"}}});
}
