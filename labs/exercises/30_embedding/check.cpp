#include "exercises/engine/check.hpp"

using namespace handgrad;
using namespace handgrad::exercises;

namespace {

Matrix right(const Matrix& E, const std::vector<int>& x) {
  Matrix y(static_cast<int>(x.size()), E.cols());
  for (int t = 0; t < y.rows(); ++t)
    for (int j = 0; j < y.cols(); ++j) y(t, j) = E(x[static_cast<std::size_t>(t)], j);
  return y;
}

}  // namespace

EXERCISE(embedding, {"embedding", "embedding_backward"}) {
  const auto embedding = check.function<Matrix(const Matrix&, const std::vector<int>&)>("embedding");
  const auto backward = check.function<Matrix(const Matrix&, const std::vector<int>&, int)>("embedding_backward");
  check.on_paper(4, [=](int k) -> Paper {
    const std::vector<std::vector<int>> numbers{{0}, {1}, {1, 1}, {2, 0, 2}};
    const std::vector<int>& x = numbers[static_cast<std::size_t>(k)];
    const int rows = k + 1, cols = k < 2 ? 1 : 2, T = static_cast<int>(x.size());
    const Matrix E = paper_matrix(rows, cols, 0), delta = paper_matrix(T, cols, 1);
    Matrix dE(rows, cols);
    Vector indices(T);
    for (int t = 0; t < T; ++t) {
      indices(t) = x[static_cast<std::size_t>(t)];
      for (int j = 0; j < cols; ++j) dE(x[static_cast<std::size_t>(t)], j) += delta(t, j);
    }
    return first_wrong(
        {{"E", tensor(E)}, {"x", tensor(indices)}, {"delta", tensor(delta)}},
        {{"y", tensor(embedding(E, x)), tensor(right(E, x))}, {"dE", tensor(backward(delta, x, rows)), tensor(dE)}});
  });
  const std::vector<int> x{3, 0, 3, 4, 0, 3, 1};  // 2 does not occur
  const Matrix E = random_matrix(5, 3, 1), delta = random_matrix(7, 3, 4), y = right(E, x);
  check.value("y", tensor(embedding(E, x)), tensor(y));
  Vector indices(7);
  for (int t = 0; t < 7; ++t) indices(t) = x[static_cast<std::size_t>(t)];
  check.gradient({"dE",
                  tensor(backward(delta, x, 5)),
                  tensor(E),
                  [&](const Tensor<double>& value) { return projected(right(matrix(value), x), delta); },
                  {tensor(indices), tensor(y), tensor(delta), {}, {}, 7},
                  {}});
}
