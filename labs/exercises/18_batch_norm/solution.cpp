
// y = γ·x̂ + β       x (N×C), gamma and beta (C) → y (N×C)
Matrix batch_norm(const Matrix& x, const Vector& gamma, const Vector& beta, double eps) {
  Matrix y(x.rows(), x.cols());
  const int N = x.rows();
  for (int c = 0; c < x.cols(); ++c) {
    double mean = 0, var = 0;
    for (int n = 0; n < N; ++n) mean += x(n, c) / N;
    for (int n = 0; n < N; ++n) var += (x(n, c) - mean) * (x(n, c) - mean) / N;
    for (int n = 0; n < N; ++n) y(n, c) = gamma(c) * (x(n, c) - mean) / std::sqrt(var + eps) + beta(c);
  }
  return y;
}

// delta = ∂L/∂y, x (N×C), gamma (C) → dbeta (C), dgamma (C), dx (N×C), which come filled with zeros
void batch_norm_backward(const Matrix& delta, const Matrix& x, const Vector& gamma, double eps, Vector& dbeta,
                         Vector& dgamma, Matrix& dx) {
  const int N = x.rows();
  for (int c = 0; c < x.cols(); ++c) {
    double mean = 0, var = 0;
    for (int n = 0; n < N; ++n) mean += x(n, c) / N;
    for (int n = 0; n < N; ++n) var += (x(n, c) - mean) * (x(n, c) - mean) / N;
    const double s = std::sqrt(var + eps);
    double mean_g = 0, mean_gx = 0;
    for (int n = 0; n < N; ++n) {
      const double xhat = (x(n, c) - mean) / s, g = delta(n, c) * gamma(c);
      dbeta(c) += delta(n, c);
      dgamma(c) += delta(n, c) * xhat;
      mean_g += g / N;
      mean_gx += g * xhat / N;
    }
    for (int n = 0; n < N; ++n) {
      const double xhat = (x(n, c) - mean) / s, g = delta(n, c) * gamma(c);
      dx(n, c) = (g - mean_g - xhat * mean_gx) / s;
    }
  }
}

