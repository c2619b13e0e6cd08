
// each row: yⱼ = e^(zⱼ)/Σₖ e^(zₖ)       z (N×C) → y (N×C)
Matrix softmax(const Matrix& z) {
  Matrix y(z.rows(), z.cols());
  for (int n = 0; n < z.rows(); ++n) {
    double top = z(n, 0), sum = 0;
    for (int j = 0; j < z.cols(); ++j) top = std::max(top, z(n, j));
    for (int j = 0; j < z.cols(); ++j) sum += std::exp(z(n, j) - top);
    for (int j = 0; j < z.cols(); ++j) y(n, j) = std::exp(z(n, j) - top) / sum;
  }
  return y;
}

// dz = ∂L/∂z       delta = ∂L/∂y (N×C), y = softmax(z) (N×C) → dz (N×C)
Matrix softmax_backward(const Matrix& delta, const Matrix& y) {
  Matrix dz(y.rows(), y.cols());
  for (int n = 0; n < y.rows(); ++n) {
    double dot = 0;
    for (int j = 0; j < y.cols(); ++j) dot += delta(n, j) * y(n, j);
    for (int i = 0; i < y.cols(); ++i) dz(n, i) = y(n, i) * (delta(n, i) - dot);
  }
  return dz;
}

