
// L = mean over all elements of (p − t)²       p, t (N×C)
double mse(const Matrix& p, const Matrix& t) {
  double sum = 0;
  for (int n = 0; n < p.rows(); ++n)
    for (int c = 0; c < p.cols(); ++c) sum += (p(n, c) - t(n, c)) * (p(n, c) - t(n, c));
  return sum / p.size();
}

// δ = ∂L/∂p       p, t (N×C) → (N×C)
Matrix mse_delta(const Matrix& p, const Matrix& t) {
  Matrix delta(p.rows(), p.cols());
  for (int n = 0; n < p.rows(); ++n)
    for (int c = 0; c < p.cols(); ++c) delta(n, c) = 2 * (p(n, c) - t(n, c)) / p.size();
  return delta;
}

