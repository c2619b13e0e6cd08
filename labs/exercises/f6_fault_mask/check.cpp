#include "exercises/engine/check.hpp"

using namespace handgrad;
using namespace handgrad::exercises;

EXERCISE(fault_mask, {"dropout_backward"}) {
  const auto backward = check.function<Matrix(const Matrix&, const Matrix&, double)>("dropout_backward");
  check.on_paper([=](int N, int, int C) -> Paper {
    const Matrix delta = paper_matrix(N, C + 1, 1);
    Matrix some(N, C + 1, 1), dx = delta;
    for (int n = 0; n < N; ++n) some(n, C) = 0;
    for (int n = 0; n < N; ++n)
      for (int c = 0; c <= C; ++c) dx(n, c) *= some(n, c) / 0.5;
    return {{{"delta", tensor(delta)}, {"mask", tensor(some)}, {"keep", tensor(0.5)}},
            "dx",
            tensor(backward(delta, some, 0.5)),
            tensor(dx)};
  });
  const Matrix x = random_matrix(5, 7, 1), delta = random_matrix(5, 7, 4);
  const double keep = 0.6;
  const Matrix mask = each(random_matrix(5, 7, 9), [](double v) { return v > -0.3 ? 1.0 : 0.0; });
  Matrix unmasked = each(delta, [&](double d) { return d / keep; }), unscaled(5, 7);
  for (int n = 0; n < 5; ++n)
    for (int c = 0; c < 7; ++c) unscaled(n, c) = delta(n, c) * mask(n, c);
  check.gradient({"dx",
                  tensor(backward(delta, mask, keep)),
                  tensor(x),
                  [&](const Tensor<double>& v) {
                    Matrix y = matrix(v);
                    for (int n = 0; n < 5; ++n)
                      for (int c = 0; c < 7; ++c) y(n, c) *= mask(n, c) / keep;
                    return projected(y, delta);
                  },
                  {},
                  {{tensor(unmasked), Cause::DropoutMask, "the dropout mask is missing, only its 1/keep is there",
                    "it is δ/keep", "what was silenced has no part in L: its gradient is 0"},
                   {tensor(unscaled), Cause::DropoutMask, "the factor 1/keep of the dropout is missing", "it is δ∘mask",
                    "y = x∘mask/keep, so dx = δ∘mask/keep"}}});
}
