#include "exercises/engine/convolution.hpp"

using namespace handgrad;
using namespace handgrad::exercises;

namespace {

constexpr int k = 2;

Matrix right(const Matrix& x) {
  Matrix y(x.rows() / k, x.cols() / k);
  for (int i = 0; i < y.rows(); ++i)
    for (int j = 0; j < y.cols(); ++j)
      y(i, j) = std::max(std::max(x(2 * i, 2 * j), x(2 * i, 2 * j + 1)),
                         std::max(x(2 * i + 1, 2 * j), x(2 * i + 1, 2 * j + 1)));
  return y;
}

/// δ for the first, the last or all of a window's maxima.
enum class Whose { First, Last, All };
Matrix given(const Matrix& delta, const Matrix& x, Whose whose) {
  const Matrix y = right(x);
  Matrix dX(x.rows(), x.cols());
  for (int i = 0; i < y.rows(); ++i)
    for (int j = 0; j < y.cols(); ++j) {
      int last_h = -1, last_w = -1;
      for (int u = 0; u < k; ++u)
        for (int v = 0; v < k; ++v) {
          const int h = 2 * i + u, w = 2 * j + v;
          if (x(h, w) < y(i, j)) continue;
          if (last_h >= 0 && whose == Whose::First) continue;
          if (last_h >= 0 && whose == Whose::Last) dX(last_h, last_w) = 0;
          dX(h, w) = delta(i, j);
          last_h = h;
          last_w = w;
        }
    }
  return dX;
}

}  // namespace

EXERCISE(max_pool, {"max_pool", "max_pool_dX"}) {
  const auto max_pool = check.function<Matrix(const Matrix&, int)>("max_pool");
  const auto max_pool_dX = check.function<Matrix(const Matrix&, const Matrix&, int)>("max_pool_dX");
  check.on_paper(5, [=](int at) -> Paper {
    constexpr int windows[][2] = {{1, 1}, {1, 1}, {1, 2}, {2, 2}, {1, 1}};
    const int rows = windows[at][0], cols = windows[at][1];
    Matrix x = paper_matrix(k * rows, k * cols, at);
    if (at == 4) x = Matrix(k, k, 1);  // all equal
    const Matrix delta = paper_matrix(rows, cols, 1);
    return first_wrong({{"x", tensor(x)}, {"k", tensor(1.0 * k)}, {"delta", tensor(delta)}},
                       {{"y", tensor(max_pool(x, k)), tensor(right(x))},
                        {"dX", tensor(max_pool_dX(delta, x, k)), tensor(given(delta, x, Whose::First))}});
  });
  const Matrix x = random_matrix(6, 10, 1), delta = random_matrix(3, 5, 2);
  check.value("y", tensor(max_pool(x, k)), tensor(right(x)));
  check.gradient(
      {"dX",
       image(max_pool_dX(delta, x, k)),
       image(x),
       [&](const Tensor<double>& v) { return projected(right(of_image(v)), delta); },
       {image(x), image(right(x)), image(delta), {}, {}, 1},
       {{image(given(Matrix(3, 5, 1), x, Whose::First)), Cause::UpstreamIgnored,
         "the δ that comes from above is ignored", "with δ = 1 everywhere it would be right", "dX(h, w) += δ(i, j)"}}});
  // Equal elements, as after a ReLU: differences cannot decide, so the rule does.
  const Matrix tied = each(random_matrix(6, 10, 3), [](double v) { return v > 0.5; });
  check.value("dX where elements are equal", tensor(max_pool_dX(delta, tied, k)),
              tensor(given(delta, tied, Whose::First)),
              {{tensor(given(delta, tied, Whose::All)), Cause::GivenToAll, "δ goes to each of several equal maxima",
                "it is too much by as many times as there are", "find the place first, then add δ once"},
               {tensor(given(delta, tied, Whose::Last)), Cause::Other,
                "of several equal elements the last is taken, not the first",
                "the shares add up, but nobody else does so", "> in place of ≥"}});
}
