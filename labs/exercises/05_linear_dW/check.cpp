#include "exercises/engine/check.hpp"

using namespace handgrad;
using namespace handgrad::exercises;

EXERCISE(linear_dW, {"linear_dW"}) {
  const auto linear_dW = check.function<Matrix(const Matrix&, const Matrix&)>("linear_dW");
  check.on_paper([=](int N, int D, int C) -> Paper {
    const Matrix x = paper_matrix(N, D, 0), delta = paper_matrix(N, C, 1);
    return {{{"delta", tensor(delta)}, {"x", tensor(x)}},
            "dW",
            tensor(linear_dW(delta, x)),
            slope(tensor(Matrix(C, D)),
                  [&](const Tensor<double>& W) { return projected(linear(x, matrix(W), Vector(C)), delta); })};
  });
  const Matrix x = random_matrix(5, 3, 1), W = random_matrix(7, 3, 2), delta = random_matrix(5, 7, 4);
  const Vector b = random_vector(7, 3);
  const auto of_example = [&](int n) {
    Matrix share(7, 3);
    for (int o = 0; o < 7; ++o)
      for (int i = 0; i < 3; ++i) share(o, i) = delta(n, o) * x(n, i);
    return tensor(share);
  };
  std::vector<KnownMistake> mistakes = left_out(5, "example", of_example);
  mistakes.push_back({of_example(4), Cause::BiasNotSummed, "the dW is not summed over the batch",
                      "it is the share of the last example alone", "dW = Σₙ …: += in the loop over n"});
  check.gradient({"dW",
                  tensor(linear_dW(delta, x)),
                  tensor(W),
                  [&](const Tensor<double>& value) { return projected(linear(x, matrix(value), b), delta); },
                  {tensor(x), tensor(linear(x, W, b)), tensor(delta), {}, {{"W", tensor(W)}, {"b", tensor(b)}}, 5},
                  mistakes});
}
