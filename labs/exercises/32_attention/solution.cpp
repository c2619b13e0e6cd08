
// delta = ∂L/∂O, Q, K, V (T×d), P as above → dQ, dK, dV (T×d), which come filled with zeros
void attention_backward(const Matrix& delta, const Matrix& Q, const Matrix& K, const Matrix& V, const Matrix& P,
                        Matrix& dQ, Matrix& dK, Matrix& dV) {
  const int T = Q.rows(), d = Q.cols();
  const double tau = 1 / std::sqrt(d);
  for (int i = 0; i < T; ++i) {
    Vector dP(T);
    double D = 0;
    for (int j = 0; j < T; ++j) {
      for (int c = 0; c < d; ++c) {
        dV(j, c) += P(i, j) * delta(i, c);
        dP(j) += delta(i, c) * V(j, c);
      }
      D += P(i, j) * dP(j);
    }
    for (int j = 0; j < T; ++j) {
      const double dS = P(i, j) * (dP(j) - D);
      for (int c = 0; c < d; ++c) {
        dQ(i, c) += tau * dS * K(j, c);
        dK(j, c) += tau * dS * Q(i, c);
      }
    }
  }
}

