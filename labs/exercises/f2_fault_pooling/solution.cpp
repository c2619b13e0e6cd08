
// y(n, k) = max(x(n, k), x(n, k+1)): windows of two that overlap
// delta = ∂L/∂y (N×(D−1)), x (N×D) → dx = ∂L/∂x (N×D)
Matrix pool_backward(const Matrix& delta, const Matrix& x) {
  Matrix dx(x.rows(), x.cols());
  for (int n = 0; n < x.rows(); ++n)
    for (int k = 0; k + 1 < x.cols(); ++k) {
      const int largest = x(n, k) >= x(n, k + 1) ? k : k + 1;
      dx(n, largest) += delta(n, k);
    }
  return dx;
}

