
// dz = ∂L/∂z       delta = ∂L/∂y (N×C), y = tanh(z) (N×C) → dz (N×C)
Matrix tanh_backward(const Matrix& delta, const Matrix& y) {
  Matrix dz(y.rows(), y.cols());
  for (int n = 0; n < y.rows(); ++n)
    for (int c = 0; c < y.cols(); ++c) dz(n, c) = delta(n, c) * (1 - y(n, c) * y(n, c));
  return dz;
}

