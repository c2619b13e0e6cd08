
// h = tanh(x·Wᵀ + s·Uᵀ + b)     x (N×I), s (N×H), W (H×I), U (H×H), b (H) → h (N×H)
Matrix rnn_step(const Matrix& x, const Matrix& s, const Matrix& W, const Matrix& U, const Vector& b) {
  Matrix h(x.rows(), W.rows());
  for (int n = 0; n < x.rows(); ++n)
    for (int j = 0; j < W.rows(); ++j) {
      double a = b(j);
      for (int i = 0; i < x.cols(); ++i) a += x(n, i) * W(j, i);
      for (int k = 0; k < s.cols(); ++k) a += s(n, k) * U(j, k);
      h(n, j) = std::tanh(a);
    }
  return h;
}

// delta = ∂L/∂h (N×H), h as the forward gave it → db (H), dW (H×I), dU (H×H), ds (N×H), which come filled with zeros
void rnn_step_backward(const Matrix& delta, const Matrix& x, const Matrix& s, const Matrix& h, const Matrix& U,
                       Vector& db, Matrix& dW, Matrix& dU, Matrix& ds) {
  for (int n = 0; n < x.rows(); ++n)
    for (int j = 0; j < h.cols(); ++j) {
      const double g = delta(n, j) * (1 - h(n, j) * h(n, j));
      db(j) += g;
      for (int i = 0; i < x.cols(); ++i) dW(j, i) += g * x(n, i);
      for (int k = 0; k < s.cols(); ++k) dU(j, k) += g * s(n, k);
      for (int k = 0; k < s.cols(); ++k) ds(n, k) += g * U(j, k);
    }
}
