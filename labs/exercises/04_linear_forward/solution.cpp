
// y = x·Wᵀ + b       x (N×D), W (C×D), b (C) → y (N×C)
Matrix linear_forward(const Matrix& x, const Matrix& W, const Vector& b) {
  Matrix y(x.rows(), W.rows());
  for (int n = 0; n < x.rows(); ++n)
    for (int o = 0; o < W.rows(); ++o) {
      y(n, o) = b(o);
      for (int i = 0; i < x.cols(); ++i) y(n, o) += x(n, i) * W(o, i);
    }
  return y;
}

