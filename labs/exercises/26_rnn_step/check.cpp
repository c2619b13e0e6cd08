#include "exercises/engine/check.hpp"

using namespace handgrad;
using namespace handgrad::exercises;

namespace {

Matrix step_of(const Matrix& x, const Matrix& s, const Matrix& W, const Matrix& U, const Vector& b) {
  Matrix a = linear(x, W, b);
  const Matrix from_state = linear(s, U, Vector(b.size()));
  for (int n = 0; n < a.rows(); ++n)
    for (int j = 0; j < a.cols(); ++j) a(n, j) = std::tanh(a(n, j) + from_state(n, j));
  return a;
}

Matrix product(const Matrix& a, const Matrix& b, bool a_transposed = false, bool b_transposed = false) {
  const int rows = a_transposed ? a.cols() : a.rows(), inner = a_transposed ? a.rows() : a.cols(),
            columns = b_transposed ? b.rows() : b.cols();
  Matrix c(rows, columns);
  for (int i = 0; i < rows; ++i)
    for (int j = 0; j < columns; ++j)
      for (int k = 0; k < inner; ++k)
        c(i, j) += (a_transposed ? a(k, i) : a(i, k)) * (b_transposed ? b(j, k) : b(k, j));
  return c;
}

Vector column_sums(const Matrix& g) {
  Vector sums(g.cols());
  for (int n = 0; n < g.rows(); ++n)
    for (int j = 0; j < g.cols(); ++j) sums(j) += g(n, j);
  return sums;
}

}  // namespace

EXERCISE(rnn_step, {"rnn_step", "rnn_step_backward"}) {
  const auto forward =
      check.function<Matrix(const Matrix&, const Matrix&, const Matrix&, const Matrix&, const Vector&)>("rnn_step");
  const auto backward = check.function<void(const Matrix&, const Matrix&, const Matrix&, const Matrix&, const Matrix&,
                                            Vector&, Matrix&, Matrix&, Matrix&)>("rnn_step_backward");
  check.on_paper([=](int N, int I, int H) -> Paper {  // the backward's h is ½, so that 1 − h² = ¾
    const auto tenth = [](double v) { return v / 10; };
    const Matrix x = paper_matrix(N, I, 0), s = each(paper_matrix(N, H, 1), tenth),
                 W = each(paper_matrix(H, I, 2), tenth), U = paper_matrix(H, H, 3), delta = paper_matrix(N, H, 1),
                 h(N, H, 0.5);
    const Vector b(H, 0.1);
    Vector db(H);
    Matrix dW(H, I), dU(H, H), ds(N, H);
    const Tensor<double> state = tensor(forward(x, s, W, U, b));
    backward(delta, x, s, h, U, db, dW, dU, ds);
    const Matrix g = each(delta, [](double v) { return v * 0.75; });
    return first_wrong({{"x", tensor(x)},
                        {"s", tensor(s)},
                        {"W", tensor(W)},
                        {"U", tensor(U)},
                        {"b", tensor(b)},
                        {"delta", tensor(delta)},
                        {"h", tensor(h)}},
                       {{"h of the forward", state, tensor(step_of(x, s, W, U, b))},
                        {"db", tensor(db), tensor(column_sums(g))},
                        {"dW", tensor(dW), tensor(product(g, x, true))},
                        {"dU", tensor(dU), tensor(product(g, s, true))},
                        {"ds", tensor(ds), tensor(product(g, U))}});
  });
  const int N = 7, I = 3, H = 5;
  const Matrix x = random_matrix(N, I, 1), s = each(random_matrix(N, H, 2), [](double v) { return std::tanh(v); }),
               W = random_matrix(H, I, 3), U = random_matrix(H, H, 4), delta = random_matrix(N, H, 6);
  const Vector b = random_vector(H, 5);
  const Matrix h = step_of(x, s, W, U, b);
  check.value("h", tensor(forward(x, s, W, U, b)), tensor(h),
              {{tensor(step_of(x, Matrix(N, H), W, U, b)), Cause::Other, "the state is left out",
                "it is tanh(x·Wᵀ + b)", "h = tanh(x·Wᵀ + s·Uᵀ + b)"},
               {tensor(step_of(x, s, W, U, Vector(H))), Cause::BiasMissing, "the bias is missing",
                "it is tanh(x·Wᵀ + s·Uᵀ)", "h = tanh(x·Wᵀ + s·Uᵀ + b)"}});
  Vector db(H);
  Matrix dW(H, I), dU(H, H), ds(N, H);
  backward(delta, x, s, h, U, db, dW, dU, ds);

  Matrix g = delta, at_s = delta, by_sigma = delta;  // δ∘φ′, right, at the previous state, and σ′
  for (int n = 0; n < N; ++n)
    for (int j = 0; j < H; ++j) {
      g(n, j) *= 1 - h(n, j) * h(n, j);
      at_s(n, j) *= 1 - s(n, j) * s(n, j);
      by_sigma(n, j) *= h(n, j) * (1 - h(n, j));
    }
  const std::string where = "g = δ∘(1 − h²), then db = Σ g, dW = gᵀ·x, dU = gᵀ·s, ds = g·U";
  /// What a wrong g makes of any gradient.
  const auto mistakes = [&](const std::function<Tensor<double>(const Matrix&)>& made_of) {
    return std::vector<KnownMistake>{
        {made_of(delta), Cause::DerivativeMissing, "the derivative of tanh is missing: 1 − h²", "it is made of δ alone",
         where},
        {made_of(at_s), Cause::WrongVariable, "the derivative of tanh is taken of the state before; it is 1 − h²",
         "it is made of δ∘(1 − s²)", where},
        {made_of(by_sigma), Cause::WrongDerivative, "the derivative of σ stands where that of tanh belongs: 1 − h²",
         "it is made of δ∘h(1 − h)", where}};
  };
  GradientStep step;
  step.dy = tensor(g);
  step.batch = static_cast<std::size_t>(N);
  using T = Tensor<double>;
  const auto of = [&](const Matrix& state, const Matrix& weight, const Matrix& recurrent, const Vector& bias) {
    return projected(step_of(x, state, weight, recurrent, bias), delta);
  };
  check.gradient({"db", tensor(db), tensor(b), [&](const T& v) { return of(s, W, U, vector(v)); }, step,
                  mistakes([](const Matrix& m) { return tensor(column_sums(m)); })});
  check.gradient({"dW", tensor(dW), tensor(W), [&](const T& v) { return of(s, matrix(v), U, b); }, step,
                  mistakes([&](const Matrix& m) { return tensor(product(m, x, true)); })});
  std::vector<KnownMistake> of_U = mistakes([&](const Matrix& m) { return tensor(product(m, s, true)); });
  of_U.push_back({tensor(product(g, h, true)), Cause::WrongState, "dU is made of h, the new state",
                  "gᵀ·h is what you have", "U multiplies the state before: dU = gᵀ·s"});
  check.gradient({"dU", tensor(dU), tensor(U), [&](const T& v) { return of(s, W, matrix(v), b); }, step, of_U});
  std::vector<KnownMistake> of_s = mistakes([&](const Matrix& m) { return tensor(product(m, U)); });
  of_s.push_back({tensor(product(g, U, false, true)), Cause::Transposed, "U in ds is transposed",
                  "g·Uᵀ is what you have", "a = s·Uᵀ + …, so ds = g·U: Σ over j of g(n, j)·U(j, k)"});
  check.gradient({"ds", tensor(ds), tensor(s), [&](const T& v) { return of(matrix(v), W, U, b); }, step, of_s});
}
