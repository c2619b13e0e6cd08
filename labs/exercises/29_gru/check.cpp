#include "exercises/engine/check.hpp"

using namespace handgrad;
using namespace handgrad::exercises;

namespace {

Matrix state(const Matrix& p, const Matrix& q, const Matrix& s, bool swapped = false) {
  Matrix h = s;
  const int H = s.cols();
  for (int m = 0; m < s.rows(); ++m)
    for (int j = 0; j < H; ++j) {
      const double r = sigmoid(p(m, j) + q(m, j)), n = std::tanh(p(m, 2 * H + j) + r * q(m, 2 * H + j));
      double z = sigmoid(p(m, H + j) + q(m, H + j));
      if (swapped) z = 1 - z;
      h(m, j) = (1 - z) * n + z * s(m, j);
    }
  return h;
}

enum class Fault { None, ResetForgotten, SwappedInN, SwappedInS, NoTanh, NoSigmaR, WrongSigma };

struct Gradients {
  Matrix dp, dq, ds;
};
Gradients gradients(const Matrix& delta, const Matrix& p, const Matrix& q, const Matrix& s, Fault fault) {
  const int H = s.cols();
  Gradients d{Matrix(s.rows(), 3 * H), Matrix(s.rows(), 3 * H), Matrix(s.rows(), H)};
  for (int m = 0; m < s.rows(); ++m)
    for (int j = 0; j < H; ++j) {
      const double r = sigmoid(p(m, j) + q(m, j)), z = sigmoid(p(m, H + j) + q(m, H + j)),
                   n = std::tanh(p(m, 2 * H + j) + r * q(m, 2 * H + j));
      const double dn =
          delta(m, j) * (fault == Fault::SwappedInN ? z : 1 - z) * (fault == Fault::NoTanh ? 1 : 1 - n * n);
      d.dp(m, 2 * H + j) = dn;
      d.dp(m, H + j) = delta(m, j) * (s(m, j) - n) * z * (1 - z);
      d.dp(m, j) = dn * q(m, 2 * H + j) *
                   (fault == Fault::NoSigmaR     ? 1
                    : fault == Fault::WrongSigma ? z * (1 - z)
                                                 : r * (1 - r));
      for (int k = 0; k < 2; ++k) d.dq(m, k * H + j) = d.dp(m, k * H + j);
      d.dq(m, 2 * H + j) = fault == Fault::ResetForgotten ? dn : dn * r;
      d.ds(m, j) = delta(m, j) * (fault == Fault::SwappedInS ? 1 - z : z);
    }
  return d;
}

}  // namespace

EXERCISE(gru, {"gru_cell", "gru_cell_backward"}) {
  const auto forward = check.function<Matrix(const Matrix&, const Matrix&, const Matrix&)>("gru_cell");
  const auto backward =
      check.function<void(const Matrix&, const Matrix&, const Matrix&, const Matrix&, Matrix&, Matrix&, Matrix&)>(
          "gru_cell_backward");
  check.on_paper(3, [=](int k) -> Paper {  // p = q = 0 makes r = z = ½, n = 0
    const int N = k == 2 ? 2 : 1, H = k == 2 ? 2 : 1;
    const auto half = [](double v) { return v / 2; };
    const Matrix p = k == 0 ? Matrix(N, 3 * H) : each(paper_matrix(N, 3 * H, 0), half),
                 q = k == 0 ? Matrix(N, 3 * H) : each(paper_matrix(N, 3 * H, 2), half), s = paper_matrix(N, H, 1),
                 delta = paper_matrix(N, H, 2);
    Gradients got{Matrix(N, 3 * H), Matrix(N, 3 * H), Matrix(N, H)};
    const Tensor<double> h = tensor(forward(p, q, s));
    backward(delta, p, q, s, got.dp, got.dq, got.ds);
    const Gradients right = gradients(delta, p, q, s, Fault::None);
    return first_wrong({{"p", tensor(p)}, {"q", tensor(q)}, {"s", tensor(s)}, {"delta", tensor(delta)}},
                       {{"h", h, tensor(state(p, q, s))},
                        {"dp", tensor(got.dp), tensor(right.dp)},
                        {"dq", tensor(got.dq), tensor(right.dq)},
                        {"ds", tensor(got.ds), tensor(right.ds)}});
  });
  const int N = 5, H = 3;
  const Matrix p = random_matrix(N, 3 * H, 1), q = random_matrix(N, 3 * H, 2), s = random_matrix(N, H, 3),
               delta = random_matrix(N, H, 4);
  check.value("h", tensor(forward(p, q, s)), tensor(state(p, q, s)),
              {{tensor(state(p, q, s, true)), Cause::Other, "z and 1 − z are swapped", "it is z∘n + (1 − z)∘s",
                "h = (1 − z)∘n + z∘s: z keeps the old state"}});
  Gradients got{Matrix(N, 3 * H), Matrix(N, 3 * H), Matrix(N, H)};
  backward(delta, p, q, s, got.dp, got.dq, got.ds);

  const std::string where = "h = (1 − z)∘n + z∘s, n = tanh(p_n + r∘q_n)";
  const auto mistakes = [&](const std::function<Tensor<double>(const Gradients&)>& part) {
    const auto with = [&](Fault fault) { return part(gradients(delta, p, q, s, fault)); };
    return std::vector<KnownMistake>{
        {with(Fault::ResetForgotten), Cause::ResetGate, "r is missing in the last block of dq", "it is the block of dp",
         "n = tanh(p_n + r∘q_n): q_n has r in front, p_n has not"},
        {with(Fault::SwappedInN), Cause::GatesSwapped, "z and 1 − z are swapped on the way to n", "it is made with δ∘z",
         where},
        {with(Fault::SwappedInS), Cause::GatesSwapped, "z and 1 − z are swapped on the way to s", "it is δ∘(1 − z)",
         where},
        {with(Fault::NoTanh), Cause::DerivativeMissing, "the derivative of n is missing: 1 − n²",
         "it is made with dn = δ∘(1 − z)", where},
        {with(Fault::NoSigmaR), Cause::DerivativeMissing, "the derivative of r is missing: r(1 − r)",
         "its block is dn∘q_n", where},
        {with(Fault::WrongSigma), Cause::WrongVariable, "the derivative of r is taken of z; it is r(1 − r)",
         "its block is dn∘q_n∘z(1−z)", where}};
  };
  GradientStep step;
  using T = Tensor<double>;
  check.gradient({"dp", tensor(got.dp), tensor(p), [&](const T& v) { return projected(state(matrix(v), q, s), delta); },
                  step, mistakes([](const Gradients& d) { return tensor(d.dp); })});
  check.gradient({"dq", tensor(got.dq), tensor(q), [&](const T& v) { return projected(state(p, matrix(v), s), delta); },
                  step, mistakes([](const Gradients& d) { return tensor(d.dq); })});
  check.gradient({"ds", tensor(got.ds), tensor(s), [&](const T& v) { return projected(state(p, q, matrix(v)), delta); },
                  step, mistakes([](const Gradients& d) { return tensor(d.ds); })});
}
