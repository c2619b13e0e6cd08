#include "exercises/engine/check.hpp"

using namespace handgrad;
using namespace handgrad::exercises;

EXERCISE(dropout, {"dropout", "dropout_backward"}) {
  const auto dropout = check.function<Matrix(const Matrix&, const Matrix&, double)>("dropout");
  const auto backward = check.function<Matrix(const Matrix&, const Matrix&, double)>("dropout_backward");
  check.on_paper([=](int N, int, int C) -> Paper {
    const Matrix x = paper_matrix(N, C, 0), delta = paper_matrix(N, C, 1),
                 mask = each(x, [](double v) { return v > 0; });
    Matrix y = x, dx = delta;
    for (int n = 0; n < N; ++n)
      for (int c = 0; c < C; ++c) y(n, c) *= mask(n, c) / 0.5, dx(n, c) *= mask(n, c) / 0.5;
    const Tensor<double> got = tensor(dropout(x, mask, 0.5)), half = tensor(0.5);
    if (!(got == tensor(y))) return {{{"x", tensor(x)}, {"mask", tensor(mask)}, {"keep", half}}, "y", got, tensor(y)};
    return {{{"delta", tensor(delta)}, {"mask", tensor(mask)}, {"keep", half}},
            "dx",
            tensor(backward(delta, mask, 0.5)),
            tensor(dx)};
  });
  const Matrix x = random_matrix(5, 7, 1), delta = random_matrix(5, 7, 4);
  const Matrix mask = each(random_matrix(5, 7, 2), [](double v) { return v < 0.5; });
  const double keep = 0.7;
  const auto right = [&](const Matrix& v, double k) {
    Matrix y(5, 7);
    for (int n = 0; n < 5; ++n)
      for (int c = 0; c < 7; ++c) y(n, c) = v(n, c) * mask(n, c) / k;
    return y;
  };
  check.value("y", tensor(dropout(x, mask, keep)), tensor(right(x, keep)),
              {{tensor(right(x, 1)), Cause::Other, "1/keep is missing", "it is x∘mask", "y = x∘mask/keep"}});
  check.gradient({"dx",
                  tensor(backward(delta, mask, keep)),
                  tensor(x),
                  [&](const Tensor<double>& value) { return projected(right(matrix(value), keep), delta); },
                  {tensor(x), tensor(right(x, keep)), tensor(delta), {}, {}, 5}});
}
