#include "exercises/engine/check.hpp"

using namespace handgrad;
using namespace handgrad::exercises;

namespace {

Matrix states(const Matrix& x, const Vector& h0, const Matrix& W, const Matrix& U, const Vector& b) {
  Matrix h(x.rows(), b.size());
  for (int t = 0; t < x.rows(); ++t)
    for (int j = 0; j < b.size(); ++j) {
      double a = b(j);
      for (int i = 0; i < x.cols(); ++i) a += W(j, i) * x(t, i);
      for (int k = 0; k < b.size(); ++k) a += U(j, k) * (t > 0 ? h(t - 1, k) : h0(k));
      h(t, j) = std::tanh(a);
    }
  return h;
}

struct Gradients {
  Matrix dW, dU, dx;
  Vector db, dh0;
};

/// Possible faults of a backward.
enum class Fault { None, Cut, LastStep, FirstStepLeft, NewState, NoFirstState, NoDerivative, Transposed };

Gradients gradients(const Matrix& delta, const Matrix& x, const Vector& h0, const Matrix& h, const Matrix& W,
                    const Matrix& U, Fault fault = Fault::None) {
  const int H = h.cols(), I = x.cols(), T = x.rows();
  Gradients d{Matrix(H, I), Matrix(H, H), Matrix(T, I), Vector(H), Vector(H)};
  Vector carry(H);
  for (int t = T - 1; t >= (fault == Fault::LastStep ? T - 1 : 0); --t) {
    if (fault == Fault::FirstStepLeft) d.dW = Matrix(H, I), d.dU = Matrix(H, H), d.db = Vector(H);
    Vector back(H);
    for (int j = 0; j < H; ++j) {
      const double g = (delta(t, j) + (fault == Fault::Cut ? 0 : carry(j))) *
                       (fault == Fault::NoDerivative ? 1 : 1 - h(t, j) * h(t, j));
      d.db(j) += g;
      for (int i = 0; i < I; ++i) d.dW(j, i) += g * x(t, i), d.dx(t, i) += g * W(j, i);
      for (int k = 0; k < H; ++k) {
        const double before = t > 0 ? h(t - 1, k) : fault == Fault::NoFirstState ? 0 : h0(k);
        d.dU(j, k) += g * (fault == Fault::NewState ? h(t, k) : before);
        back(k) += g * (fault == Fault::Transposed ? U(k, j) : U(j, k));
      }
    }
    carry = back;
  }
  d.dh0 = carry;
  return d;
}

}  // namespace

EXERCISE(bptt, {"rnn_backward"}) {
  const auto backward =
      check.function<void(const Matrix&, const Matrix&, const Vector&, const Matrix&, const Matrix&, const Matrix&,
                          Matrix&, Matrix&, Vector&, Matrix&, Vector&)>("rnn_backward");
  check.on_paper([=](int steps, int I, int H) -> Paper {  // h is ½ throughout, so that 1 − h² = ¾
    const Matrix x = paper_matrix(steps, I, 0), W = paper_matrix(H, I, 1), U = paper_matrix(H, H, 2),
                 delta = paper_matrix(steps, H, 1), h(steps, H, 0.5);
    const Vector h0 = paper_vector(H, 3);
    Gradients got{Matrix(H, I), Matrix(H, H), Matrix(steps, I), Vector(H), Vector(H)};
    backward(delta, x, h0, h, W, U, got.dW, got.dU, got.db, got.dx, got.dh0);
    const Gradients right = gradients(delta, x, h0, h, W, U);
    return first_wrong({{"delta", tensor(delta)},
                        {"x", tensor(x)},
                        {"h0", tensor(h0)},
                        {"h", tensor(h)},
                        {"W", tensor(W)},
                        {"U", tensor(U)}},
                       {{"db", tensor(got.db), tensor(right.db)},
                        {"dW", tensor(got.dW), tensor(right.dW)},
                        {"dU", tensor(got.dU), tensor(right.dU)},
                        {"dx", tensor(got.dx), tensor(right.dx)},
                        {"dh0", tensor(got.dh0), tensor(right.dh0)}});
  });
  const int steps = 7, I = 3, H = 5;
  const Matrix x = random_matrix(steps, I, 1), W = random_matrix(H, I, 2), delta = random_matrix(steps, H, 6),
               U = each(random_matrix(H, H, 3), [](double v) { return 0.5 * v; });
  const Vector b = random_vector(H, 4), h0 = random_vector(H, 5);
  const Matrix h = states(x, h0, W, U, b);
  Gradients got{Matrix(H, I), Matrix(H, H), Matrix(steps, I), Vector(H), Vector(H)};
  backward(delta, x, h0, h, W, U, got.dW, got.dU, got.db, got.dx, got.dh0);

  const std::string where = "dh(t) = δ(t) + Uᵀ·g(t+1), g = dh∘(1 − h²); dW, dU, db: sums over all t";
  const auto mistakes = [&](const std::function<Tensor<double>(const Gradients&)>& part) {
    const auto with = [&](Fault fault) { return part(gradients(delta, x, h0, h, W, U, fault)); };
    return std::vector<KnownMistake>{
        {with(Fault::Cut), Cause::StateGradientDropped, "what comes back from the next step is missing",
         "it is the sum of the steps' own gradients, with δ(t) for δ(t) + Uᵀ·g(t+1)", where},
        {with(Fault::LastStep), Cause::LastStepOnly, "only the last step is there", "it is what step T−1 alone gives",
         where},
        {with(Fault::FirstStepLeft), Cause::Overwritten, "each step overwrites what the step before it had added",
         "it is what step 0 alone gives, where the loop ends", "W, U, b serve all steps: += in the loop over t"},
        {with(Fault::NewState), Cause::WrongState, "dU is made of h(t), the new state", "Σ g(t)·h(t)ᵀ is what you have",
         "U multiplies the state before: dU += g(t)·h(t−1)ᵀ"},
        {with(Fault::NoFirstState), Cause::Other, "h0 is missing in dU", "it is right with h0 = 0",
         "before step 0 there is h0: its term is g(0)·h0ᵀ"},
        {with(Fault::NoDerivative), Cause::DerivativeMissing, "the derivative of tanh is missing: 1 − h(t)²",
         "it is made with g = δ(t) + carry", where},
        {with(Fault::Transposed), Cause::Transposed, "U is transposed on the way back", "it is made with carry = U·g",
         "a(t) = U·h(t−1) + …, so Σ over j of g(j)·U(j, k) comes back"}};
  };
  GradientStep step;
  using T = Tensor<double>;
  const auto of = [&](const Matrix& xs, const Vector& first, const Matrix& weight, const Matrix& recurrent,
                      const Vector& bias) { return projected(states(xs, first, weight, recurrent, bias), delta); };
  check.gradient({"db", tensor(got.db), tensor(b), [&](const T& v) { return of(x, h0, W, U, vector(v)); }, step,
                  mistakes([](const Gradients& d) { return tensor(d.db); })});
  check.gradient({"dW", tensor(got.dW), tensor(W), [&](const T& v) { return of(x, h0, matrix(v), U, b); }, step,
                  mistakes([](const Gradients& d) { return tensor(d.dW); })});
  check.gradient({"dU", tensor(got.dU), tensor(U), [&](const T& v) { return of(x, h0, W, matrix(v), b); }, step,
                  mistakes([](const Gradients& d) { return tensor(d.dU); })});
  check.gradient({"dx", tensor(got.dx), tensor(x), [&](const T& v) { return of(matrix(v), h0, W, U, b); }, step,
                  mistakes([](const Gradients& d) { return tensor(d.dx); })});
  check.gradient({"dh0", tensor(got.dh0), tensor(h0), [&](const T& v) { return of(x, vector(v), W, U, b); }, step,
                  mistakes([](const Gradients& d) { return tensor(d.dh0); })});
}
