#include "exercises/engine/convolution.hpp"

using namespace handgrad;
using namespace handgrad::exercises;

EXERCISE(correlation_gradients, {"correlation_dW", "correlation_dX"}) {
  const auto correlation_dW = check.function<Matrix(const Matrix&, const Matrix&)>("correlation_dW");
  const auto correlation_dX = check.function<Matrix(const Matrix&, const Matrix&)>("correlation_dX");
  check.on_paper(static_cast<int>(std::size(correlation_sizes)), [=](int k) -> Paper {
    const Matrix x = paper_matrix(correlation_sizes[k][0], correlation_sizes[k][1], 0),
                 w = paper_matrix(correlation_sizes[k][2], correlation_sizes[k][3], 1),
                 delta = paper_matrix(correlation_sizes[k][0] - correlation_sizes[k][2] + 1,
                                      correlation_sizes[k][1] - correlation_sizes[k][3] + 1, 2);
    using T = Tensor<double>;
    return first_wrong({{"delta", tensor(delta)}, {"x", tensor(x)}, {"w", tensor(w)}},
                       {{"dW", tensor(correlation_dW(delta, x)),
                         slope(tensor(w), [&](const T& v) { return projected(correlated(x, matrix(v)), delta); })},
                        {"dX", tensor(correlation_dX(delta, w)),
                         slope(tensor(x), [&](const T& v) { return projected(correlated(matrix(v), w), delta); })}});
  });
  const Matrix x = random_matrix(5, 7, 1), w = random_matrix(3, 2, 2), delta = random_matrix(3, 6, 3);
  const GradientStep step{image(x), image(correlated(x, w)), image(delta), {}, {{"w", image(w)}}, 1};
  Matrix dW_of_ones(3, 2), dX_of_ones(5, 7);
  for (int i = 0; i < 3; ++i)
    for (int j = 0; j < 6; ++j)
      for (int u = 0; u < 3; ++u)
        for (int v = 0; v < 2; ++v) {
          dW_of_ones(u, v) += x(i + u, j + v);
          dX_of_ones(i + u, j + v) += w(u, v);
        }
  const auto ignored = [](const Matrix& of_ones) -> std::vector<KnownMistake> {
    return {{image(of_ones), Cause::UpstreamIgnored, "the δ that comes from above is ignored",
             "with δ = 1 everywhere it would be right", "every term of a backward has δ in it"}};
  };
  check.gradient({"dW", image(correlation_dW(delta, x)), image(w),
                  [&](const Tensor<double>& v) { return projected(correlated(x, of_image(v)), delta); }, step,
                  ignored(dW_of_ones)});
  check.gradient({"dX", image(correlation_dX(delta, w)), image(x),
                  [&](const Tensor<double>& v) { return projected(correlated(of_image(v), w), delta); }, step,
                  ignored(dX_of_ones)});
}
