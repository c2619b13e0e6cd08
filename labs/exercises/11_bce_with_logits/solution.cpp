
// L = mean of ℓ       z, t (N×C)
double bce_with_logits(const Matrix& z, const Matrix& t) {
  double sum = 0;
  for (int n = 0; n < z.rows(); ++n)
    for (int c = 0; c < z.cols(); ++c)
      sum += std::max(z(n, c), 0.0) - z(n, c) * t(n, c) + std::log1p(std::exp(-std::abs(z(n, c))));
  return sum / z.size();
}

// δ = ∂L/∂z       z, t (N×C) → (N×C)
Matrix bce_with_logits_delta(const Matrix& z, const Matrix& t) {
  Matrix delta(z.rows(), z.cols());
  for (int n = 0; n < z.rows(); ++n)
    for (int c = 0; c < z.cols(); ++c) {
      const double p = 1 / (1 + std::exp(-z(n, c)));
      delta(n, c) = (p - t(n, c)) / z.size();
    }
  return delta;
}

