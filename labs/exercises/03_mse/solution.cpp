
// L = mean over all elements of (p − y)²       p, y (N×C)
double mse(const Matrix& p, const Matrix& y) {
  double sum = 0;
  for (int n = 0; n < p.rows(); ++n)
    for (int c = 0; c < p.cols(); ++c) sum += (p(n, c) - y(n, c)) * (p(n, c) - y(n, c));
  return sum / p.size();
}

// δ = ∂L/∂p       p, y (N×C) → (N×C)
Matrix mse_delta(const Matrix& p, const Matrix& y) {
  Matrix delta(p.rows(), p.cols());
  for (int n = 0; n < p.rows(); ++n)
    for (int c = 0; c < p.cols(); ++c) delta(n, c) = 2 * (p(n, c) - y(n, c)) / p.size();
  return delta;
}

