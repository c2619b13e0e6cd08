
// y = z·σ(z)       delta = ∂L/∂y (N×C), z (N×C) → dz = ∂L/∂z (N×C)
Matrix silu_backward(const Matrix& delta, const Matrix& z) {
  Matrix dz(z.rows(), z.cols());
  for (int n = 0; n < z.rows(); ++n)
    for (int c = 0; c < z.cols(); ++c) {
      const double s = 1 / (1 + std::exp(-z(n, c)));
      dz(n, c) = delta(n, c) * (s + z(n, c) * s * (1 - s));
    }
  return dz;
}

