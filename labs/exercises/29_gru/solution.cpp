
static double squash(double z) { return 1 / (1 + std::exp(-z)); }

// p, q (N×3H): blocks of H columns for r, z, n; s (N×H), the state before → h (N×H)
Matrix gru_cell(const Matrix& p, const Matrix& q, const Matrix& s) {
  Matrix h(s.rows(), s.cols());
  const int H = s.cols();
  for (int m = 0; m < s.rows(); ++m)
    for (int j = 0; j < H; ++j) {
      const double r = squash(p(m, j) + q(m, j)), z = squash(p(m, H + j) + q(m, H + j)),
                   n = std::tanh(p(m, 2 * H + j) + r * q(m, 2 * H + j));
      h(m, j) = (1 - z) * n + z * s(m, j);
    }
  return h;
}

// delta = ∂L/∂h (N×H) → dp, dq (N×3H), ds (N×H) beside what goes through q; they come filled with zeros
void gru_cell_backward(const Matrix& delta, const Matrix& p, const Matrix& q, const Matrix& s, Matrix& dp, Matrix& dq,
                       Matrix& ds) {
  const int H = s.cols();
  for (int m = 0; m < s.rows(); ++m)
    for (int j = 0; j < H; ++j) {
      const double r = squash(p(m, j) + q(m, j)), z = squash(p(m, H + j) + q(m, H + j)),
                   n = std::tanh(p(m, 2 * H + j) + r * q(m, 2 * H + j));
      const double dn = delta(m, j) * (1 - z) * (1 - n * n);
      dp(m, 2 * H + j) = dn;
      dp(m, H + j) = delta(m, j) * (s(m, j) - n) * z * (1 - z);
      dp(m, j) = dn * q(m, 2 * H + j) * r * (1 - r);
      dq(m, j) = dp(m, j);
      dq(m, H + j) = dp(m, H + j);
      dq(m, 2 * H + j) = dn * r;
      ds(m, j) = delta(m, j) * z;
    }
}
