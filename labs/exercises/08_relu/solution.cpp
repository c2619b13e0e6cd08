
// y = max(z, 0)       z (N×C) → y (N×C)
Matrix relu(const Matrix& z) {
  Matrix y(z.rows(), z.cols());
  for (int n = 0; n < z.rows(); ++n)
    for (int c = 0; c < z.cols(); ++c) y(n, c) = std::max(z(n, c), 0.0);
  return y;
}

// dz = ∂L/∂z       delta = ∂L/∂y (N×C), z (N×C) → dz (N×C)
Matrix relu_backward(const Matrix& delta, const Matrix& z) {
  Matrix dz(z.rows(), z.cols());
  for (int n = 0; n < z.rows(); ++n)
    for (int c = 0; c < z.cols(); ++c) dz(n, c) = z(n, c) > 0 ? delta(n, c) : 0;
  return dz;
}

