#include "exercises/engine/convolution.hpp"

using namespace handgrad;
using namespace handgrad::exercises;

EXERCISE(correlation, {"correlate"}) {
  const auto correlate = check.function<Matrix(const Matrix&, const Matrix&)>("correlate");
  check.on_paper(static_cast<int>(std::size(correlation_sizes)), [=](int k) -> Paper {
    const Matrix x = paper_matrix(correlation_sizes[k][0], correlation_sizes[k][1], 0),
                 w = paper_matrix(correlation_sizes[k][2], correlation_sizes[k][3], 1);
    return {{{"x", tensor(x)}, {"w", tensor(w)}}, "y", tensor(correlate(x, w)), tensor(correlated(x, w))};
  });
  const Matrix x = random_matrix(5, 7, 1), w = random_matrix(3, 2, 2);
  const Matrix y = correlated(x, w);
  Matrix turned(3, 6), last(3, 6);
  for (int i = 0; i < 3; ++i)
    for (int j = 0; j < 6; ++j) {
      for (int u = 0; u < 3; ++u)
        for (int v = 0; v < 2; ++v) turned(i, j) += w(2 - u, 1 - v) * x(i + u, j + v);
      last(i, j) = w(2, 1) * x(i + 2, j + 1);
    }
  check.value("y", tensor(correlate(x, w)), tensor(y),
              {{tensor(turned), Cause::KernelNotFlipped, "the filter is turned by 180°",
                "that is a mathematician's convolution; here w(u, v) goes with x(i + u, j + v)",
                "the indices of w in the innermost line"},
               {tensor(last), Cause::Other, "y is not a sum over the window", "it is the last element's share alone",
                "y(i, j) += in the loops over u and v"}});
}
