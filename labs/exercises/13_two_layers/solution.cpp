
// x (N×D), h (N×H), p and t (N×C), W2 (C×H) → delta2 (N×C), dW2 (C×H), db2 (C), delta1 (N×H), dW1 (H×D), db1 (H)
// The six results come with their shapes, filled with zeros.
void two_layers_backward(const Matrix& x, const Matrix& h, const Matrix& p, const Matrix& t, const Matrix& W2,
                         Matrix& delta2, Matrix& dW2, Vector& db2, Matrix& delta1, Matrix& dW1, Vector& db1) {
  for (int n = 0; n < x.rows(); ++n) {
    for (int c = 0; c < p.cols(); ++c) {
      delta2(n, c) = (p(n, c) - t(n, c)) * p(n, c) * (1 - p(n, c));
      db2(c) += delta2(n, c);
      for (int j = 0; j < h.cols(); ++j) dW2(c, j) += delta2(n, c) * h(n, j);
    }
    for (int j = 0; j < h.cols(); ++j) {
      for (int c = 0; c < p.cols(); ++c) delta1(n, j) += delta2(n, c) * W2(c, j);
      delta1(n, j) *= h(n, j) * (1 - h(n, j));
      db1(j) += delta1(n, j);
      for (int i = 0; i < x.cols(); ++i) dW1(j, i) += delta1(n, j) * x(n, i);
    }
  }
}

