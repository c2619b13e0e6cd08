#include "exercises/engine/check.hpp"

using namespace handgrad;
using namespace handgrad::exercises;

namespace {

Matrix hidden(const Matrix& x, const Matrix& W1) {
  return each(linear(x, W1, Vector(W1.rows())), [](double z) { return std::tanh(z); });
}

Matrix right(const Matrix& x, const Matrix& W1, const Matrix& W2) {
  Matrix y = linear(hidden(x, W1), W2, Vector(W2.rows()));
  for (int n = 0; n < x.rows(); ++n)
    for (int i = 0; i < x.cols(); ++i) y(n, i) += x(n, i);
  return y;
}

}  // namespace

EXERCISE(residual, {"residual", "residual_backward"}) {
  const auto forward = check.function<Matrix(const Matrix&, const Matrix&, const Matrix&)>("residual");
  const auto backward = check.function<void(const Matrix&, const Matrix&, const Matrix&, const Matrix&, const Matrix&,
                                            Matrix&, Matrix&, Matrix&)>("residual_backward");
  check.on_paper([=](int N, int I, int H) -> Paper {  // W1 = 0 makes a = 0; then the backward's a is ½: 1 − a² = ¾
    const Matrix x = paper_matrix(N, I, 0), W1 = paper_matrix(H, I, 1), W2 = paper_matrix(I, H, 2),
                 delta = paper_matrix(N, I, 3), a(N, H, 0.5);
    Matrix dW2(I, H), dW1(H, I), dx(N, I);
    const Tensor<double> y = tensor(forward(x, Matrix(H, I), W2));
    backward(delta, x, W1, W2, a, dW2, dW1, dx);
    Matrix right_dW2(I, H), right_dW1(H, I), right_dx = delta;
    for (int n = 0; n < N; ++n)
      for (int k = 0; k < H; ++k) {
        double dz = 0;
        for (int o = 0; o < I; ++o) {
          right_dW2(o, k) += delta(n, o) * a(n, k);
          dz += delta(n, o) * W2(o, k) * 0.75;
        }
        for (int i = 0; i < I; ++i) right_dW1(k, i) += dz * x(n, i), right_dx(n, i) += dz * W1(k, i);
      }
    return first_wrong(
        {{"x", tensor(x)}, {"W1", tensor(W1)}, {"W2", tensor(W2)}, {"delta", tensor(delta)}, {"a", tensor(a)}},
        {{"y for W1 = 0", y, tensor(x)},
         {"dW2", tensor(dW2), tensor(right_dW2)},
         {"dW1", tensor(dW1), tensor(right_dW1)},
         {"dx", tensor(dx), tensor(right_dx)}});
  });
  const int N = 5, I = 3, H = 7;
  const Matrix x = random_matrix(N, I, 1), W1 = random_matrix(H, I, 2), W2 = random_matrix(I, H, 3),
               delta = random_matrix(N, I, 4), a = hidden(x, W1), y = right(x, W1, W2);
  Matrix f = y;
  for (int n = 0; n < N; ++n)
    for (int i = 0; i < I; ++i) f(n, i) -= x(n, i);
  check.value("y", tensor(forward(x, W1, W2)), tensor(y),
              {{tensor(f), Cause::Other, "x itself is missing in y", "it is f(x)", "y = x + f(x)"}});
  Matrix dW2(I, H), dW1(H, I), dx(N, I), linear_W1(H, I);
  backward(delta, x, W1, W2, a, dW2, dW1, dx);
  for (int n = 0; n < N; ++n)
    for (int k = 0; k < H; ++k)
      for (int i = 0; i < I; ++i)
        for (int o = 0; o < I; ++o) linear_W1(k, i) += delta(n, o) * W2(o, k) * x(n, i);
  GradientStep step;
  step.dy = tensor(delta);
  step.batch = 5;
  using T = Tensor<double>;
  check.gradient(
      {"dW2", tensor(dW2), tensor(W2), [&](const T& v) { return projected(right(x, W1, matrix(v)), delta); }, step});
  check.gradient({"dW1",
                  tensor(dW1),
                  tensor(W1),
                  [&](const T& v) { return projected(right(x, matrix(v), W2), delta); },
                  step,
                  {{tensor(linear_W1), Cause::Other, "the derivative of tanh is missing: 1 − a²",
                    "with dz = da one gets exactly your dW₁", "dz = da∘(1 − a²)"}}});
  step.x = tensor(x);
  step.y = tensor(y);
  check.gradient({"dx",
                  tensor(dx),
                  tensor(x),
                  [&](const T& v) { return projected(right(matrix(v), W1, W2), delta); },
                  step,
                  {{tensor(delta), Cause::Other, "f's part of dx is missing", "it is δ alone",
                    "x goes two ways: dx = δ + dz·W₁"}}});
}
