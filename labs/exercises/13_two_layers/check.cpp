#include "exercises/engine/check.hpp"

using namespace handgrad;
using namespace handgrad::exercises;

namespace {

Matrix of(const Matrix& z) { return each(z, sigmoid); }

Tensor<double> loss(const Matrix& p, const Matrix& t) {
  Tensor<double> terms = tensor(p);
  for (std::size_t i = 0; i < terms.numel(); ++i)
    terms.data()[i] = 0.5 * std::pow(terms.data()[i] - t.elements()[i], 2);
  return terms;
}

}  // namespace

EXERCISE(two_layers, {"two_layers_backward"}) {
  const auto backward =
      check.function<void(const Matrix&, const Matrix&, const Matrix&, const Matrix&, const Matrix&, Matrix&, Matrix&,
                          Vector&, Matrix&, Matrix&, Vector&)>("two_layers_backward");
  check.on_paper([=](int N, int D, int C) -> Paper {
    const Matrix x = paper_matrix(N, D, 0), W2 = paper_matrix(C, D, 1),
                 t = each(paper_matrix(N, C, 2), [](double v) { return v > 0; });
    const Matrix h(N, D, 0.5), p(N, C, 0.5);  // σ(0) everywhere
    Matrix delta2(N, C), dW2(C, D), delta1(N, D), dW1(D, D), top(N, C), right_dW2(C, D), under(N, D), right_dW1(D, D);
    Vector db2(C), db1(D), right_db2(C), right_db1(D);
    backward(x, h, p, t, W2, delta2, dW2, db2, delta1, dW1, db1);
    for (int n = 0; n < N; ++n) {
      for (int c = 0; c < C; ++c) {
        right_db2(c) += top(n, c) = (0.5 - t(n, c)) / 4;
        for (int j = 0; j < D; ++j) {
          right_dW2(c, j) += top(n, c) * h(n, j);
          under(n, j) += top(n, c) * W2(c, j) / 4;
        }
      }
      for (int j = 0; j < D; ++j) {
        right_db1(j) += under(n, j);
        for (int i = 0; i < D; ++i) right_dW1(j, i) += under(n, j) * x(n, i);
      }
    }
    return first_wrong({{"x", tensor(x)}, {"h", tensor(h)}, {"p", tensor(p)}, {"t", tensor(t)}, {"W2", tensor(W2)}},
                       {{"delta2", tensor(delta2), tensor(top)},
                        {"db2", tensor(db2), tensor(right_db2)},
                        {"dW2", tensor(dW2), tensor(right_dW2)},
                        {"delta1", tensor(delta1), tensor(under)},
                        {"db1", tensor(db1), tensor(right_db1)},
                        {"dW1", tensor(dW1), tensor(right_dW1)}});
  });
  const int N = 7, D = 3, H = 5, C = 5;  // W2 is square, so that its transpose fits
  const Matrix x = random_matrix(N, D, 1), W1 = random_matrix(H, D, 2), W2 = random_matrix(C, H, 3),
               t = each(random_matrix(N, C, 4), sigmoid);
  const Vector b1 = random_vector(H, 5), b2 = random_vector(C, 6);
  const Matrix z1 = linear(x, W1, b1), h = of(z1), z2 = linear(h, W2, b2), p = of(z2);
  Matrix delta2(N, C), dW2(C, H), delta1(N, H), dW1(H, D);
  Vector db2(C), db1(H);
  backward(x, h, p, t, W2, delta2, dW2, db2, delta1, dW1, db1);

  // What arrives at each step if everything above it is right.
  Matrix dp(N, C), right2(N, C), dh(N, H), right1(N, H), through_transpose(N, H), no_weight(N, H);
  for (int n = 0; n < N; ++n)
    for (int c = 0; c < C; ++c) {
      dp(n, c) = p(n, c) - t(n, c);
      right2(n, c) = dp(n, c) * p(n, c) * (1 - p(n, c));
      for (int j = 0; j < H; ++j)
        dh(n, j) += right2(n, c) * W2(c, j), through_transpose(n, j) += right2(n, c) * W2(j, c);
    }
  for (int n = 0; n < N; ++n)
    for (int j = 0; j < H; ++j) {
      right1(n, j) = dh(n, j) * h(n, j) * (1 - h(n, j));
      through_transpose(n, j) *= h(n, j) * (1 - h(n, j));
      no_weight(n, j) = right2(n, j) * h(n, j) * (1 - h(n, j));
    }
  const GradientStep top{tensor(z2), tensor(p), tensor(dp), {}, {}, 7},
      hidden{tensor(z1), tensor(h), tensor(dh), {}, {}, 7};
  const GradientStep second{tensor(h), tensor(z2), tensor(right2), {}, {{"W2", tensor(W2)}, {"b2", tensor(b2)}}, 7};
  const GradientStep first{tensor(x), tensor(z1), tensor(right1), {}, {{"W1", tensor(W1)}, {"b1", tensor(b1)}}, 7};
  using T = Tensor<double>;
  check.gradient({"delta2", tensor(delta2), tensor(z2), [&](const T& v) { return loss(of(matrix(v)), t); }, top});
  check.gradient(
      {"db2", tensor(db2), tensor(b2), [&](const T& v) { return loss(of(linear(h, W2, vector(v))), t); }, second});
  check.gradient(
      {"dW2", tensor(dW2), tensor(W2), [&](const T& v) { return loss(of(linear(h, matrix(v), b2)), t); }, second});
  const auto from_z1 = [&](const Matrix& z) { return loss(of(linear(of(z), W2, b2)), t); };
  check.gradient(
      {"delta1",
       tensor(delta1),
       tensor(z1),
       [&](const T& v) { return from_z1(matrix(v)); },
       hidden,
       {{tensor(through_transpose), Cause::Transposed, "the weight through which δ2 comes down is transposed",
         "it is (δ2·W2ᵀ)∘h(1−h)", "δ1 = (δ2·W2)∘h(1−h): Σ over c of δ2(n, c)·W2(c, j)"},
        {tensor(no_weight), Cause::WeightMissing, "the weights between the layers are left out of the chain",
         "it is δ2∘h(1−h)", "δ1 = (δ2·W2)∘h(1−h): Σ over c of δ2(n, c)·W2(c, j)"}}});
  check.gradient(
      {"db1", tensor(db1), tensor(b1), [&](const T& v) { return from_z1(linear(x, W1, vector(v))); }, first});
  check.gradient(
      {"dW1", tensor(dW1), tensor(W1), [&](const T& v) { return from_z1(linear(x, matrix(v), b1)); }, first});
}
