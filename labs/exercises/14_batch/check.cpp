#include "exercises/engine/check.hpp"

using namespace handgrad;
using namespace handgrad::exercises;

namespace {

Tensor<double> loss(const Matrix& x, const Vector& t, const Vector& w, double b) {
  Vector terms(x.rows());
  for (int n = 0; n < x.rows(); ++n) {
    double z = b;
    for (int i = 0; i < w.size(); ++i) z += w(i) * x(n, i);
    terms(n) = (std::max(z, 0.0) - z * t(n) + std::log1p(std::exp(-std::abs(z)))) / x.rows();
  }
  return tensor(terms);
}

Matrix rows(const Matrix& x, int from, int to) {
  Matrix part(to - from, x.cols());
  for (int n = from; n < to; ++n)
    for (int i = 0; i < x.cols(); ++i) part(n - from, i) = x(n, i);
  return part;
}

}  // namespace

EXERCISE(batch, {"batch_gradient"}) {
  const auto gradient =
      check.function<void(const Matrix&, const Vector&, const Vector&, double, int, Vector&, double&)>(
          "batch_gradient");
  check.on_paper([=](int N, int D, int) -> Paper {  // half of a batch, onto what the other half has left
    const Matrix x = paper_matrix(N, D, 0);
    const Vector w = N * D == 1 ? Vector(D) : paper_vector(D, 1);  // 0 makes p = 1/2
    const double b = N * D == 1 ? 0 : 0.5;
    Vector t(N), dw = paper_vector(D, 2);
    for (int n = 0; n < N; ++n) t(n) = n % 2;
    double db = 1;
    const std::vector<std::pair<std::string, Tensor<double>>> inputs{
        {"x", tensor(x)},           {"t", tensor(t)},   {"w", tensor(w)},  {"b", tensor(b)},
        {"total", tensor(2.0 * N)}, {"dw", tensor(dw)}, {"db", tensor(db)}};
    Vector right_dw = dw;
    double right_db = db;
    for (int n = 0; n < N; ++n) {
      double z = b;
      for (int i = 0; i < D; ++i) z += w(i) * x(n, i);
      const double delta = (sigmoid(z) - t(n)) / (2 * N);
      for (int i = 0; i < D; ++i) right_dw(i) += delta * x(n, i);
      right_db += delta;
    }
    gradient(x, t, w, b, 2 * N, dw, db);
    return first_wrong(inputs, {{"dw", tensor(dw), tensor(right_dw)}, {"db", tensor(db), tensor(right_db)}});
  });
  const Matrix x = random_matrix(7, 3, 1);
  const Vector w = random_vector(3, 2), t{0, 1, 1, 0, 1, 0, 0};
  const double b = 0.3;
  struct Gradient {
    Vector dw = Vector(3);
    double db = 0;
  };
  const auto part = [&](int from, int to, Gradient& g) {
    Vector targets(to - from);
    for (int n = from; n < to; ++n) targets(n - from) = t(n);
    gradient(rows(x, from, to), targets, w, b, 7, g.dw, g.db);
  };
  Gradient whole, parts, second;
  part(0, 7, whole);
  part(0, 3, parts);
  part(3, 7, parts);
  part(3, 7, second);

  // The right δₙ, and the gradients if each part were divided by its own size.
  Vector delta(7), own_dw(3), divided_dw(3);
  double own_db = 0, divided_db = 0;
  for (int n = 0; n < 7; ++n) {
    double z = b;
    for (int i = 0; i < 3; ++i) z += w(i) * x(n, i);
    const double error = sigmoid(z) - t(n);
    delta(n) = error / 7;
    for (int i = 0; i < 3; ++i) own_dw(i) += error * x(n, i) / (n < 3 ? 3 : 4);
    own_db += error / (n < 3 ? 3 : 4);
    const double divided = delta(n) / (sigmoid(z) * (1 - sigmoid(z)));
    for (int i = 0; i < 3; ++i) divided_dw(i) += divided * x(n, i);
    divided_db += divided;
  }
  const std::string own = "each part is averaged over its own examples",
                    where_own = "divide by `total`, the N of the mean";
  const std::string lost = "what the parts before gave is lost", where_lost = "dw and db come in with it: +=, never =";
  GradientStep step;
  step.batch = 7;
  step.dy = tensor(delta).reshape({7, 1});
  using T = Tensor<double>;
  const auto by_w = [&](const T& v) { return loss(x, t, vector(v), b); };
  const auto by_b = [&](const T& v) { return loss(x, t, w, v.item()); };
  const auto by_p = [](const T& wrong) {
    return std::vector<KnownMistake>{{wrong, Cause::DerivativeMissing, "δ is ∂ℓ/∂p, not ∂ℓ/∂z: σ′ is missing",
                                      "it is divided by p(1 − p), which σ′ would cancel", "∂ℓ/∂z = p − t"}};
  };
  check.gradient({"dw", tensor(whole.dw), tensor(w), by_w, step, by_p(tensor(divided_dw))});
  check.gradient({"db", tensor(whole.db), tensor(b), by_b, step, by_p(tensor(divided_db))});
  check.gradient({"dw, in two parts",
                  tensor(parts.dw),
                  tensor(w),
                  by_w,
                  step,
                  {{tensor(own_dw), Cause::NotAveraged, own, "dividing by 7 instead would be right", where_own},
                   {tensor(second.dw), Cause::Overwritten, lost, "it is the second part's share alone", where_lost}}});
  check.gradient({"db, in two parts",
                  tensor(parts.db),
                  tensor(b),
                  by_b,
                  step,
                  {{tensor(own_db), Cause::NotAveraged, own, "dividing by 7 instead would be right", where_own},
                   {tensor(second.db), Cause::Overwritten, lost, "it is the second part's share alone", where_lost}}});
}
