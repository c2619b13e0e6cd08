#include "exercises/engine/check.hpp"

using namespace handgrad;
using namespace handgrad::exercises;

EXERCISE(fault_pooling, {"pool_backward"}) {
  const auto backward = check.function<Matrix(const Matrix&, const Matrix&)>("pool_backward");
  check.on_paper(2, [=](int k) -> Paper {
    Matrix x(1, k + 2, 3);  // the last but one is the largest
    x(0, k + 1) = 2;
    if (k > 0) x(0, 0) = 1;
    const Matrix delta = paper_matrix(1, k + 1, 1);
    return {{{"delta", tensor(delta)}, {"x", tensor(x)}},
            "dx",
            tensor(backward(delta, x)),
            slope(tensor(x), [&](const Tensor<double>& v) {
              const Matrix in = matrix(v);
              Matrix y(1, k + 1);
              for (int j = 0; j <= k; ++j) y(0, j) = std::max(in(0, j), in(0, j + 1));
              return projected(y, delta);
            })};
  });
  const Matrix x = random_matrix(5, 7, 1), delta = random_matrix(5, 6, 4);
  Matrix last(5, 7);
  for (int n = 0; n < 5; ++n)
    for (int k = 0; k < 6; ++k) last(n, x(n, k) >= x(n, k + 1) ? k : k + 1) = delta(n, k);
  check.gradient({"dx",
                  tensor(backward(delta, x)),
                  tensor(x),
                  [&](const Tensor<double>& v) {
                    const Matrix in = matrix(v);
                    Matrix y(5, 6);
                    for (int n = 0; n < 5; ++n)
                      for (int k = 0; k < 6; ++k) y(n, k) = std::max(in(n, k), in(n, k + 1));
                    return projected(y, delta);
                  },
                  {},
                  {{tensor(last), Cause::RowsOverwritten, "an element that is the largest of two windows keeps one δ",
                    "it is the δ of the later window alone", "what several windows take from one x adds up: +="}}});
}
