#include "exercises/engine/check.hpp"

using namespace handgrad;
using namespace handgrad::exercises;

EXERCISE(relu, {"relu", "relu_backward"}) {
  const auto relu = check.function<Matrix(const Matrix&)>("relu");
  const auto backward = check.function<Matrix(const Matrix&, const Matrix&)>("relu_backward");
  check.on_paper([=](int N, int, int C) -> Paper {
    const Matrix z = paper_matrix(N, C + 2, 0), delta = paper_matrix(N, C + 2, 1);
    const auto cut = [](const Matrix& v) { return each(v, [](double u) { return u > 0 ? u : 0; }); };
    const Tensor<double> got = tensor(relu(z)), y = tensor(cut(z));
    if (!(got == y)) return {{{"z", tensor(z)}}, "y", got, y};
    return {{{"delta", tensor(delta)}, {"z", tensor(z)}},
            "dz",
            tensor(backward(delta, z)),
            slope(tensor(z), [&](const Tensor<double>& v) { return projected(cut(matrix(v)), delta); })};
  });
  const Matrix z = random_matrix(5, 7, 1), delta = random_matrix(5, 7, 4);
  const auto right = [](const Matrix& v) { return each(v, [](double u) { return u > 0 ? u : 0; }); };
  Matrix by_delta(5, 7), inverted(5, 7);
  for (int n = 0; n < 5; ++n)
    for (int c = 0; c < 7; ++c) {
      by_delta(n, c) = std::max(delta(n, c), 0.0);
      inverted(n, c) = z(n, c) > 0 ? 0 : delta(n, c);
    }
  check.value("y", tensor(relu(z)), tensor(right(z)));
  check.gradient(
      {"dz",
       tensor(backward(delta, z)),
       tensor(z),
       [&](const Tensor<double>& value) { return projected(right(matrix(value)), delta); },
       {tensor(z), tensor(right(z)), tensor(delta), {}, {}, 5},
       {{tensor(by_delta), Cause::Other, "the mask is taken of δ", "it is δ where δ > 0", "the mask is [z > 0]"},
        {tensor(inverted), Cause::Other, "the mask is the wrong way round", "δ goes through where z < 0",
         "the mask is [z > 0]"}}});
}
