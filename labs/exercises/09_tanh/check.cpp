#include "exercises/engine/check.hpp"

using namespace handgrad;
using namespace handgrad::exercises;

EXERCISE(tanh, {"tanh_backward"}) {
  const auto backward = check.function<Matrix(const Matrix&, const Matrix&)>("tanh_backward");
  check.on_paper([=](int N, int, int C) -> Paper {
    const Matrix y = each(paper_matrix(N, C, 0), [](double v) { return v / 4; }), delta = paper_matrix(N, C, 1);
    Matrix dz = delta;
    for (int n = 0; n < N; ++n)
      for (int c = 0; c < C; ++c) dz(n, c) *= 1 - y(n, c) * y(n, c);
    return {{{"delta", tensor(delta)}, {"y", tensor(y)}}, "dz", tensor(backward(delta, y)), tensor(dz)};
  });
  const Matrix z = random_matrix(5, 7, 1), delta = random_matrix(5, 7, 4);
  const auto right = [](const Matrix& v) { return each(v, [](double u) { return std::tanh(u); }); };
  check.gradient({"dz",
                  tensor(backward(delta, right(z))),
                  tensor(z),
                  [&](const Tensor<double>& value) { return projected(right(matrix(value)), delta); },
                  {tensor(z), tensor(right(z)), tensor(delta), {}, {}, 5}});
}
