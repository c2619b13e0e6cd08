
// dW = ∂L/∂W       delta = ∂L/∂y (N×C), x (N×D) → dW (C×D)
Matrix linear_dW(const Matrix& delta, const Matrix& x) {
  Matrix dW(delta.cols(), x.cols());
  for (int n = 0; n < x.rows(); ++n)
    for (int o = 0; o < delta.cols(); ++o)
      for (int i = 0; i < x.cols(); ++i) dW(o, i) += delta(n, o) * x(n, i);
  return dW;
}

