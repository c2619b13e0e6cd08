
// y = x + tanh(x·W₁ᵀ)·W₂ᵀ       x (N×i), W1 (h×i), W2 (i×h) → y (N×i)
Matrix residual(const Matrix& x, const Matrix& W1, const Matrix& W2) {
  Matrix y(x.rows(), x.cols());
  for (int n = 0; n < x.rows(); ++n) {
    for (int i = 0; i < x.cols(); ++i) y(n, i) = x(n, i);
    for (int k = 0; k < W1.rows(); ++k) {
      double z = 0;
      for (int i = 0; i < x.cols(); ++i) z += W1(k, i) * x(n, i);
      for (int i = 0; i < x.cols(); ++i) y(n, i) += W2(i, k) * std::tanh(z);
    }
  }
  return y;
}

// delta = ∂L/∂y, x, W1, W2 as above, a = tanh(x·W₁ᵀ) (N×h) → dW2 (i×h), dW1 (h×i), dx (N×i), which come filled with zeros
void residual_backward(const Matrix& delta, const Matrix& x, const Matrix& W1, const Matrix& W2, const Matrix& a,
                       Matrix& dW2, Matrix& dW1, Matrix& dx) {
  for (int n = 0; n < x.rows(); ++n) {
    for (int i = 0; i < x.cols(); ++i) dx(n, i) = delta(n, i);
    for (int k = 0; k < W1.rows(); ++k) {
      double da = 0;
      for (int i = 0; i < x.cols(); ++i) {
        da += delta(n, i) * W2(i, k);
        dW2(i, k) += delta(n, i) * a(n, k);
      }
      const double dz = da * (1 - a(n, k) * a(n, k));
      for (int i = 0; i < x.cols(); ++i) {
        dW1(k, i) += dz * x(n, i);
        dx(n, i) += dz * W1(k, i);
      }
    }
  }
}

