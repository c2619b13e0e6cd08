
static double squash(double z) { return 1 / (1 + std::exp(-z)); }

// a (N×4H): blocks of H columns for i, f, g, o; s (N×H), c of the step before → h (N×H), and c (N×H), which comes
// filled with zeros
Matrix lstm_cell(const Matrix& a, const Matrix& s, Matrix& c) {
  Matrix h(s.rows(), s.cols());
  const int H = s.cols();
  for (int n = 0; n < s.rows(); ++n)
    for (int j = 0; j < H; ++j) {
      const double i = squash(a(n, j)), f = squash(a(n, H + j)), g = std::tanh(a(n, 2 * H + j)),
                   o = squash(a(n, 3 * H + j));
      c(n, j) = f * s(n, j) + i * g;
      h(n, j) = o * std::tanh(c(n, j));
    }
  return h;
}

// dh = ∂L/∂h, dc = ∂L/∂c from the step after (N×H); a, s, c of the forward → da (N×4H), ds (N×H), filled with zeros
void lstm_cell_backward(const Matrix& dh, const Matrix& dc, const Matrix& a, const Matrix& s, const Matrix& c,
                        Matrix& da, Matrix& ds) {
  const int H = s.cols();
  for (int n = 0; n < s.rows(); ++n)
    for (int j = 0; j < H; ++j) {
      const double i = squash(a(n, j)), f = squash(a(n, H + j)), g = std::tanh(a(n, 2 * H + j)),
                   o = squash(a(n, 3 * H + j)), t = std::tanh(c(n, j));
      const double d = dc(n, j) + dh(n, j) * o * (1 - t * t);
      da(n, j) = d * g * i * (1 - i);
      da(n, H + j) = d * s(n, j) * f * (1 - f);
      da(n, 2 * H + j) = d * i * (1 - g * g);
      da(n, 3 * H + j) = dh(n, j) * t * o * (1 - o);
      ds(n, j) = d * f;
    }
}
