#include "exercises/engine/check.hpp"

using namespace handgrad;
using namespace handgrad::exercises;

namespace {

Matrix probabilities(const Matrix& Q, const Matrix& K) {
  Matrix P(Q.rows(), K.rows());
  for (int i = 0; i < P.rows(); ++i) {
    double sum = 0;
    for (int j = 0; j < P.cols(); ++j) {
      double s = 0;
      for (int c = 0; c < Q.cols(); ++c) s += Q(i, c) * K(j, c) / std::sqrt(Q.cols());
      sum += P(i, j) = std::exp(s);
    }
    for (int j = 0; j < P.cols(); ++j) P(i, j) /= sum;
  }
  return P;
}

Matrix times(const Matrix& P, const Matrix& V) {
  Matrix O(P.rows(), V.cols());
  for (int i = 0; i < P.rows(); ++i)
    for (int j = 0; j < P.cols(); ++j)
      for (int c = 0; c < V.cols(); ++c) O(i, c) += P(i, j) * V(j, c);
  return O;
}

Matrix transposed(const Matrix& a) {
  Matrix t(a.cols(), a.rows());
  for (int i = 0; i < a.rows(); ++i)
    for (int j = 0; j < a.cols(); ++j) t(j, i) = a(i, j);
  return t;
}

/// dS with softmax's whole Jacobian, without the sum, with only its diagonal, without that, or without P.
enum class Softmax { Right, NoSum, Diagonal, NoDiagonal, NoP };
Matrix score_gradient(const Matrix& P, const Matrix& V, const Matrix& delta, Softmax how) {
  Matrix dS = times(delta, transposed(V));  // first dP
  for (int i = 0; i < P.rows(); ++i) {
    double D = 0;
    for (int j = 0; j < P.cols(); ++j) D += P(i, j) * dS(i, j);
    for (int j = 0; j < P.cols(); ++j) {
      const double p = P(i, j), dP = dS(i, j);
      dS(i, j) = how == Softmax::NoSum ? p * dP : how == Softmax::Diagonal ? p * (1 - p) * dP : p * (dP - D);
      if (how == Softmax::NoDiagonal) dS(i, j) = -p * D;
      if (how == Softmax::NoP) dS(i, j) = dP - D;
    }
  }
  return dS;
}

}  // namespace

EXERCISE(attention, {"attention_backward"}) {
  const auto backward = check.function<void(const Matrix&, const Matrix&, const Matrix&, const Matrix&, const Matrix&,
                                            Matrix&, Matrix&, Matrix&)>("attention_backward");
  check.on_paper(4, [=](int k) -> Paper {  // Q = 0 makes all P equal; τ is 1 for d = 1, ½ for d = 4
    const int T = k == 0 ? 1 : 2, d = k < 3 ? 1 : 4;
    const double tau = 1 / std::sqrt(d);
    const Matrix Q = k < 2 ? Matrix(T, d) : paper_matrix(T, d, 0), K = paper_matrix(T, d, 1), V = paper_matrix(T, d, 2),
                 delta = paper_matrix(T, d, 3), P = probabilities(Q, K),
                 dS = each(score_gradient(P, V, delta, Softmax::Right), [tau](double v) { return tau * v; });
    Matrix dQ(T, d), dK(T, d), dV(T, d);
    backward(delta, Q, K, V, P, dQ, dK, dV);
    return first_wrong(
        {{"delta", tensor(delta)}, {"Q", tensor(Q)}, {"K", tensor(K)}, {"V", tensor(V)}, {"P", tensor(P)}},
        {{"dV", tensor(dV), tensor(times(transposed(P), delta))},
         {"dQ", tensor(dQ), tensor(times(dS, K))},
         {"dK", tensor(dK), tensor(times(transposed(dS), Q))}});
  });
  const int T = 5, d = 3;
  const double tau = 1 / std::sqrt(3.0);
  const Matrix Q = random_matrix(T, d, 1), K = random_matrix(T, d, 2), V = random_matrix(T, d, 3),
               delta = random_matrix(T, d, 4), P = probabilities(Q, K);
  Matrix dQ(T, d), dK(T, d), dV(T, d);
  backward(delta, Q, K, V, P, dQ, dK, dV);
  GradientStep step;
  step.dy = tensor(delta);
  step.batch = 5;
  using Values = Tensor<double>;
  check.gradient({"dV",
                  tensor(dV),
                  tensor(V),
                  [&](const Values& v) { return projected(times(P, matrix(v)), delta); },
                  step,
                  {{tensor(times(P, delta)), Cause::Other, "P is transposed in dV", "P·δ is what you have",
                    "O[i] = Σⱼ Pᵢⱼ·V[j], so dV = Pᵀ·δ"}}});
  const auto mistakes = [&](bool of_K) {
    const auto with = [&](Softmax how, double factor) {
      const Matrix dS = score_gradient(P, V, delta, how);
      Matrix result = of_K ? times(transposed(dS), Q) : times(dS, K);
      for (int i = 0; i < T; ++i)
        for (int c = 0; c < d; ++c) result(i, c) *= factor;
      return tensor(result);
    };
    const std::string name = of_K ? "dK" : "dQ", softmax = "dS = P∘(dP − D), Dᵢ = Σⱼ Pᵢⱼ·dPᵢⱼ",
                      scale = "S = τ·Q·Kᵀ: dQ = τ·dS·K, dK = τ·dSᵀ·Q, τ once in each";
    return std::vector<KnownMistake>{
        {with(Softmax::NoSum, tau), Cause::RowSumMissing, "the softmax's derivative lacks the sum over the row",
         "dS = P∘dP gives exactly your " + name, softmax},
        {with(Softmax::Diagonal, tau), Cause::RowSumMissing,
         "of the softmax's Jacobian the diagonal alone is used: each P depends on all scores of its row",
         "dS = P(1 − P)∘dP gives exactly your " + name, softmax},
        {with(Softmax::NoDiagonal, tau), Cause::JacobianPart,
         "the diagonal of the softmax's Jacobian is missing: + P∘dP", "dS = −P∘D gives exactly your " + name, softmax},
        {with(Softmax::NoP, tau), Cause::Other, "the factor P is missing in dS",
         "dS = dP − D gives exactly your " + name, softmax},
        {with(Softmax::Right, 1), Cause::ScaleMissing, "the factor τ = 1/√d is missing in " + name,
         "it is " + name + "/τ", scale},
        {with(Softmax::Right, tau * tau), Cause::ScaleMissing, "the factor τ = 1/√d is there twice in " + name,
         "it is τ·" + name, scale}};
  };
  check.gradient({"dQ", tensor(dQ), tensor(Q),
                  [&](const Values& v) { return projected(times(probabilities(matrix(v), K), V), delta); }, step,
                  mistakes(false)});
  check.gradient({"dK", tensor(dK), tensor(K),
                  [&](const Values& v) { return projected(times(probabilities(Q, matrix(v)), V), delta); }, step,
                  mistakes(true)});
}
