
// S = τ·Q·Kᵀ for j ≤ i, and −∞ (-INFINITY) for j > i       Q, K (T×d) → S (T×T)
Matrix scores(const Matrix& Q, const Matrix& K) {
  Matrix S(Q.rows(), K.rows());
  const double tau = 1 / std::sqrt(Q.cols());
  for (int i = 0; i < S.rows(); ++i)
    for (int j = 0; j < S.cols(); ++j) {
      if (j > i) {
        S(i, j) = -INFINITY;
        continue;
      }
      for (int c = 0; c < Q.cols(); ++c) S(i, j) += tau * Q(i, c) * K(j, c);
    }
  return S;
}

// dS = ∂L/∂S (T×T), Q, K (T×d) → dQ, dK (T×d), which come filled with zeros
void scores_backward(const Matrix& dS, const Matrix& Q, const Matrix& K, Matrix& dQ, Matrix& dK) {
  const double tau = 1 / std::sqrt(Q.cols());
  for (int i = 0; i < dS.rows(); ++i)
    for (int j = 0; j <= i; ++j)
      for (int c = 0; c < Q.cols(); ++c) {
        dQ(i, c) += tau * dS(i, j) * K(j, c);
        dK(j, c) += tau * dS(i, j) * Q(i, c);
      }
}

