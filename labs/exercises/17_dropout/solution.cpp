
// y = x∘mask/keep       x, mask (N×C) → y (N×C)
Matrix dropout(const Matrix& x, const Matrix& mask, double keep) {
  Matrix y(x.rows(), x.cols());
  for (int n = 0; n < x.rows(); ++n)
    for (int c = 0; c < x.cols(); ++c) y(n, c) = x(n, c) * mask(n, c) / keep;
  return y;
}

// dx = ∂L/∂x       delta = ∂L/∂y, mask (N×C) → dx (N×C)
Matrix dropout_backward(const Matrix& delta, const Matrix& mask, double keep) {
  Matrix dx(delta.rows(), delta.cols());
  for (int n = 0; n < delta.rows(); ++n)
    for (int c = 0; c < delta.cols(); ++c) dx(n, c) = delta(n, c) * mask(n, c) / keep;
  return dx;
}

