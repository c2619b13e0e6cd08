#include "exercises/engine/check.hpp"

using namespace handgrad;
using namespace handgrad::exercises;

namespace {

Matrix right(const Matrix& z) {
  Matrix y(z.rows(), z.cols());
  for (int n = 0; n < z.rows(); ++n) {
    double top = z(n, 0), sum = 0;
    for (int j = 0; j < z.cols(); ++j) top = std::max(top, z(n, j));
    for (int j = 0; j < z.cols(); ++j) sum += y(n, j) = std::exp(z(n, j) - top);
    for (int j = 0; j < z.cols(); ++j) y(n, j) /= sum;
  }
  return y;
}

}  // namespace

EXERCISE(softmax, {"softmax", "softmax_backward"}) {
  const auto softmax = check.function<Matrix(const Matrix&)>("softmax");
  const auto backward = check.function<Matrix(const Matrix&, const Matrix&)>("softmax_backward");
  check.on_paper(static_cast<int>(std::size(paper_sizes)) + 1, [=](int k) -> Paper {
    const bool large = k == static_cast<int>(std::size(paper_sizes));  // e¹⁰⁰⁰ is no number
    const int N = large ? 1 : paper_sizes[k][0], C = large ? 1 : paper_sizes[k][2];
    const Matrix z = large ? matrix(Tensor<double>{{1000, 0}}) : paper_matrix(N, C + 1, 0),
                 delta = paper_matrix(N, C + 1, 1), y = right(z);
    const Matrix got = softmax(z);
    for (int n = 0; n < N; ++n)
      for (int j = 0; j <= C; ++j)
        if (!(std::abs(got(n, j) - y(n, j)) <= 1e-9)) return {{{"z", tensor(z)}}, "y", tensor(got), tensor(y)};
    Matrix halves(N, 2, 0.5);  // of two equal z: easier on paper
    if (C == 1)
      return {{{"delta", tensor(delta)}, {"y", tensor(halves)}},
              "dz",
              tensor(backward(delta, halves)),
              slope(tensor(Matrix(N, 2)), [&](const Tensor<double>& v) { return projected(right(matrix(v)), delta); })};
    return {{{"delta", tensor(delta)}, {"y", tensor(y)}},
            "dz",
            tensor(backward(delta, y)),
            slope(tensor(z), [&](const Tensor<double>& v) { return projected(right(matrix(v)), delta); })};
  });
  const Matrix z = random_matrix(5, 3, 1), delta = random_matrix(5, 3, 4), y = right(z);
  Matrix large = random_matrix(2, 3, 5), diagonal(5, 3);
  large(0, 0) = 1000;
  for (int n = 0; n < 5; ++n)
    for (int c = 0; c < 3; ++c) diagonal(n, c) = delta(n, c) * y(n, c) * (1 - y(n, c));
  Matrix columns(5, 3), along_columns(5, 3);  // softmax over the examples; its Σ over them
  for (int c = 0; c < 3; ++c) {
    double sum = 0, dot = 0;
    for (int n = 0; n < 5; ++n) sum += std::exp(z(n, c)), dot += delta(n, c) * y(n, c);
    for (int n = 0; n < 5; ++n) {
      columns(n, c) = std::exp(z(n, c)) / sum;
      along_columns(n, c) = y(n, c) * (delta(n, c) - dot);
    }
  }
  const std::string wrong_way = "the sum runs over the examples, not over the classes",
                    where = "each row n is a softmax of its own: Σ over j of (n, j)";
  check.value("y", tensor(softmax(z)), tensor(y),
              {{tensor(columns), Cause::WrongAxis, wrong_way, "the columns add up to 1, not the rows", where}});
  check.value("y, z₀ = 1000", tensor(softmax(large)), tensor(right(large)));
  check.gradient({"dz",
                  tensor(backward(delta, y)),
                  tensor(z),
                  [&](const Tensor<double>& value) { return projected(right(matrix(value)), delta); },
                  {tensor(z), tensor(y), tensor(delta), {}, {}, 5},
                  {{tensor(diagonal), Cause::JacobianPart, "only the diagonal of the Jacobian is there",
                    "it is δ∘y(1−y): the sigmoid's derivative, for which every output had an input of its own",
                    "yᵢ changes with every zⱼ: the sum over j"},
                   {tensor(along_columns), Cause::WrongAxis, wrong_way, "it is y∘(δ − Σₙ δ∘y)", where}}});
}
