#include "exercises/engine/check.hpp"

using namespace handgrad;
using namespace handgrad::exercises;

namespace {

/// Masked entries are 0 here: they are multiplied by nothing.
Matrix right(const Matrix& Q, const Matrix& K, double tau) {
  Matrix S(Q.rows(), K.rows());
  for (int i = 0; i < S.rows(); ++i)
    for (int j = 0; j <= i; ++j)
      for (int c = 0; c < Q.cols(); ++c) S(i, j) += tau * Q(i, c) * K(j, c);
  return S;
}

/// dQ from rows of K or, with i and j exchanged, dK from rows of Q.
Matrix sums(const Matrix& dS, const Matrix& other, double tau, bool of_K, bool masked = true) {
  Matrix d(other.rows(), other.cols());
  for (int i = 0; i < dS.rows(); ++i)
    for (int j = 0; j < (masked ? i + 1 : dS.cols()); ++j)
      for (int c = 0; c < other.cols(); ++c) d(of_K ? j : i, c) += tau * dS(i, j) * other(of_K ? i : j, c);
  return d;
}

}  // namespace

EXERCISE(attention_scores, {"scores", "scores_backward"}) {
  const auto scores = check.function<Matrix(const Matrix&, const Matrix&)>("scores");
  const auto backward =
      check.function<void(const Matrix&, const Matrix&, const Matrix&, Matrix&, Matrix&)>("scores_backward");
  check.on_paper(4, [=](int k) -> Paper {  // τ is 1 for d = 1, and ½ for d = 4
    const int T = k == 0 ? 1 : 2, d = k < 2 ? 1 : 4;
    const double tau = 1 / std::sqrt(d);
    const Matrix Q = paper_matrix(T, d, 0), K = paper_matrix(T, d, 1), dS = paper_matrix(T, T, k == 3 ? 1 : 2);
    Matrix S = right(Q, K, tau);
    for (int i = 0; i < T; ++i)
      for (int j = i + 1; j < T; ++j) S(i, j) = -INFINITY;
    Matrix dQ(T, d), dK(T, d);
    const Tensor<double> got = tensor(scores(Q, K));
    backward(dS, Q, K, dQ, dK);
    return first_wrong({{"Q", tensor(Q)}, {"K", tensor(K)}, {"dS", tensor(dS)}},
                       {{"S", got, tensor(S)},
                        {"dQ", tensor(dQ), tensor(sums(dS, K, tau, false))},
                        {"dK", tensor(dK), tensor(sums(dS, Q, tau, true))}});
  });
  const int T = 5, d = 3;
  const double tau = 1 / std::sqrt(3.0);
  const Matrix Q = random_matrix(T, d, 1), K = random_matrix(T, d, 2), dS = random_matrix(T, T, 3);
  const Matrix got = scores(Q, K), S = right(Q, K, tau);
  Matrix seen(T, T), plain(T, T);
  bool hidden = true;
  for (int i = 0; i < T; ++i)
    for (int j = 0; j < T; ++j) {
      if (j <= i) seen(i, j) = got(i, j), plain(i, j) = S(i, j) / tau;
      if (j > i) hidden = hidden && std::isinf(got(i, j)) && got(i, j) < 0;
    }
  check.value("S, j ≤ i", tensor(seen), tensor(S),
              {{tensor(plain), Cause::Other, "the factor τ = 1/√d is missing", "S·√d is what you have",
                "S = τ·Q·Kᵀ, τ = 1/√d"}});
  check.holds("S = −∞ for j > i", hidden,
              {{},
               Cause::Other,
               "a position sees what comes after it",
               "some Sᵢⱼ with j > i is not −∞",
               "where j > i, Sᵢⱼ = −∞ (-INFINITY)"});
  Matrix dQ(T, d), dK(T, d);
  backward(dS, Q, K, dQ, dK);
  GradientStep step;
  step.dy = tensor(dS);
  step.batch = 5;
  const auto mistakes = [&](const Matrix& other, bool of_K) {
    const std::string name = of_K ? "dK" : "dQ", where = "S = τ·Q·Kᵀ: dQ = τ·dS·K, dK = τ·dSᵀ·Q, τ once in each";
    return std::vector<KnownMistake>{
        {tensor(sums(dS, other, 1, of_K)), Cause::ScaleMissing, "the factor τ = 1/√d is missing in " + name,
         "it is " + name + "/τ", where},
        {tensor(sums(dS, other, tau * tau, of_K)), Cause::ScaleMissing, "the factor τ = 1/√d is there twice in " + name,
         "it is τ·" + name, where},
        {tensor(sums(dS, other, tau, of_K, false)), Cause::MaskIgnored, "the backward forgets the mask",
         "elements with j > i have a part in it", "Sᵢⱼ = −∞ for j > i is a constant: it hands nothing on"}};
  };
  check.gradient({"dQ", tensor(dQ), tensor(Q),
                  [&](const Tensor<double>& v) { return projected(right(matrix(v), K, tau), dS); }, step,
                  mistakes(K, false)});
  check.gradient({"dK", tensor(dK), tensor(K),
                  [&](const Tensor<double>& v) { return projected(right(Q, matrix(v), tau), dS); }, step,
                  mistakes(Q, true)});
}
