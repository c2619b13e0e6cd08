
// L = 1/N Σₙ −log softmax(z)ₙ[tₙ]       z (N×C), t (N) classes
double cross_entropy(const Matrix& z, const std::vector<int>& t) {
  double total = 0;
  for (int n = 0; n < z.rows(); ++n) {
    double top = z(n, 0), sum = 0;
    for (int j = 0; j < z.cols(); ++j) top = std::max(top, z(n, j));
    for (int j = 0; j < z.cols(); ++j) sum += std::exp(z(n, j) - top);
    total += std::log(sum) + top - z(n, t[static_cast<std::size_t>(n)]);
  }
  return total / z.rows();
}

// δ = ∂L/∂z       z (N×C), t (N) classes → (N×C)
Matrix cross_entropy_delta(const Matrix& z, const std::vector<int>& t) {
  Matrix delta(z.rows(), z.cols());
  for (int n = 0; n < z.rows(); ++n) {
    double top = z(n, 0), sum = 0;
    for (int j = 0; j < z.cols(); ++j) top = std::max(top, z(n, j));
    for (int j = 0; j < z.cols(); ++j) sum += std::exp(z(n, j) - top);
    for (int j = 0; j < z.cols(); ++j) {
      const double p = std::exp(z(n, j) - top) / sum, one_hot = j == t[static_cast<std::size_t>(n)] ? 1 : 0;
      delta(n, j) = (p - one_hot) / z.rows();
    }
  }
  return delta;
}

