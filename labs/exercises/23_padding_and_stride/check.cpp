#include "exercises/engine/convolution.hpp"

using namespace handgrad;
using namespace handgrad::exercises;

namespace {

/// What a forward that uses another stride or padding puts into a y of this size.
Matrix wrong(const Matrix& x, const Matrix& w, int rows, int cols, int s, int p) {
  Matrix y(rows, cols);
  for (int i = 0; i < y.rows(); ++i)
    for (int j = 0; j < y.cols(); ++j)
      for (int u = 0; u < w.rows(); ++u)
        for (int v = 0; v < w.cols(); ++v) {
          const int h = i * s + u - p, k = j * s + v - p;
          if (h >= 0 && h < x.rows() && k >= 0 && k < x.cols()) y(i, j) += w(u, v) * x(h, k);
        }
  return y;
}

}  // namespace

EXERCISE(padding_and_stride, {"convolve", "convolve_dX"}) {
  const auto convolve = check.function<Matrix(const Matrix&, const Matrix&, int, int)>("convolve");
  const auto convolve_dX = check.function<Matrix(const Matrix&, const Matrix&, int, int, int, int)>("convolve_dX");
  check.on_paper(5, [=](int k) -> Paper {  // sizes of x and of w, stride, padding
    constexpr int cases[][6] = {
        {1, 1, 1, 1, 1, 0}, {1, 3, 1, 1, 2, 0}, {1, 1, 3, 3, 1, 1}, {2, 2, 3, 3, 2, 1}, {3, 4, 3, 2, 2, 1}};
    const auto& [rows, cols, height, width, s, p] = cases[k];
    const Matrix x = paper_matrix(rows, cols, 0), w = paper_matrix(height, width, 1), y = correlated(x, w, s, p),
                 delta = paper_matrix(y.rows(), y.cols(), 2);
    return first_wrong(
        {{"x", tensor(x)}, {"w", tensor(w)}, {"s", tensor(1.0 * s)}, {"p", tensor(1.0 * p)}, {"delta", tensor(delta)}},
        {{"y", tensor(convolve(x, w, s, p)), tensor(y)},
         {"dX", tensor(convolve_dX(delta, w, rows, cols, s, p)),
          slope(tensor(x), [&, s = s, p = p](const Tensor<double>& v) {
            return projected(correlated(matrix(v), w, s, p), delta);
          })}});
  });
  const int s = 2, p = 1;  // no window sees the last of the 8 columns
  const Matrix x = random_matrix(7, 8, 1), w = random_matrix(3, 3, 2);
  const Matrix y = correlated(x, w, s, p), delta = random_matrix(y.rows(), y.cols(), 3);
  check.value("y", tensor(convolve(x, w, s, p)), tensor(y),
              {{tensor(wrong(x, w, y.rows(), y.cols(), s, 0)), Cause::PaddingIgnored,
                "the padding is forgotten in the forward", "it is what i·s + u, j·s + v give", "h = i·s + u − p"},
               {tensor(wrong(x, w, y.rows(), y.cols(), 1, p)), Cause::StrideIgnored,
                "the stride is forgotten in the forward", "it is what i + u − p, j + v − p give", "h = i·s + u − p"}});
  check.gradient({"dX",
                  image(convolve_dX(delta, w, x.rows(), x.cols(), s, p)),
                  image(x),
                  [&](const Tensor<double>& v) { return projected(correlated(of_image(v), w, s, p), delta); },
                  {image(x), image(y), image(delta), {}, {{"w", image(w)}}, 1}});
}
