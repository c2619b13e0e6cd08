#include "exercises/engine/check.hpp"

using namespace handgrad;
using namespace handgrad::exercises;

namespace {

Matrix right(const Matrix& x, const Matrix& w) {
  Matrix y(x.rows() - w.rows() + 1, x.cols() - w.cols() + 1);
  for (int i = 0; i < y.rows(); ++i)
    for (int j = 0; j < y.cols(); ++j)
      for (int u = 0; u < w.rows(); ++u)
        for (int v = 0; v < w.cols(); ++v) y(i, j) += w(u, v) * x(i + u, j + v);
  return y;
}

/// Sizes for paper, the smallest first: of x and of w.
constexpr int sizes[][4] = {{1, 1, 1, 1}, {2, 2, 1, 1}, {2, 2, 2, 2}, {2, 3, 1, 2}, {3, 3, 2, 2}};

}  // namespace

EXERCISE(correlation, {"correlate"}) {
  const auto correlate = check.function<Matrix(const Matrix&, const Matrix&)>("correlate");
  check.on_paper(static_cast<int>(std::size(sizes)), [=](int k) -> Paper {
    const Matrix x = paper_matrix(sizes[k][0], sizes[k][1], 0), w = paper_matrix(sizes[k][2], sizes[k][3], 1);
    return {{{"x", tensor(x)}, {"w", tensor(w)}}, "y", tensor(correlate(x, w)), tensor(right(x, w))};
  });
  const Matrix x = random_matrix(5, 7, 1), w = random_matrix(3, 2, 2);
  const Matrix y = right(x, w);
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
