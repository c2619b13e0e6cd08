
// y = γ∘x̂ + β       x (N×D), gamma and beta (D) → y (N×D)
Matrix layer_norm(const Matrix& x, const Vector& gamma, const Vector& beta, double eps) {
  Matrix y(x.rows(), x.cols());
  const int D = x.cols();
  for (int n = 0; n < x.rows(); ++n) {
    double mean = 0, var = 0;
    for (int i = 0; i < D; ++i) mean += x(n, i) / D;
    for (int i = 0; i < D; ++i) var += (x(n, i) - mean) * (x(n, i) - mean) / D;
    for (int i = 0; i < D; ++i) y(n, i) = gamma(i) * (x(n, i) - mean) / std::sqrt(var + eps) + beta(i);
  }
  return y;
}

// delta = ∂L/∂y, x (N×D), gamma (D) → dbeta (D), dgamma (D), dx (N×D), which come filled with zeros
void layer_norm_backward(const Matrix& delta, const Matrix& x, const Vector& gamma, double eps, Vector& dbeta,
                         Vector& dgamma, Matrix& dx) {
  const int D = x.cols();
  for (int n = 0; n < x.rows(); ++n) {
    double mean = 0, var = 0;
    for (int i = 0; i < D; ++i) mean += x(n, i) / D;
    for (int i = 0; i < D; ++i) var += (x(n, i) - mean) * (x(n, i) - mean) / D;
    const double s = 1 / std::sqrt(var + eps);
    double mean_g = 0, mean_gx = 0;
    for (int i = 0; i < D; ++i) {
      const double xhat = (x(n, i) - mean) * s, g = gamma(i) * delta(n, i);
      dbeta(i) += delta(n, i);
      dgamma(i) += delta(n, i) * xhat;
      mean_g += g / D;
      mean_gx += g * xhat / D;
    }
    for (int i = 0; i < D; ++i) {
      const double xhat = (x(n, i) - mean) * s, g = gamma(i) * delta(n, i);
      dx(n, i) = s * (g - mean_g - xhat * mean_gx);
    }
  }
}

