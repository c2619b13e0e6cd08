
// One step of gradient descent.
// x: N images (H×W each), t (N) 0 or 1; W: F filters (3×3), v (F), b are changed; lr = η
void net_step(const std::vector<Matrix>& x, const Vector& t, std::vector<Matrix>& W, Vector& v, double& b, double lr) {
  const int N = static_cast<int>(x.size()), F = v.size();
  std::vector<Matrix> dW(W.size(), Matrix(3, 3));
  Vector dv(F);
  double db = 0;
  for (int n = 0; n < N; ++n) {
    const Matrix& image = x[n];
    const int rows = image.rows() - 2, cols = image.cols() - 2, P = rows * cols;
    std::vector<Matrix> h(W.size(), Matrix(rows, cols));
    Vector m(F);
    double z = b;
    for (int f = 0; f < F; ++f) {
      for (int i = 0; i < rows; ++i)
        for (int j = 0; j < cols; ++j) {
          double sum = 0;
          for (int p = 0; p < 3; ++p)
            for (int q = 0; q < 3; ++q) sum += W[f](p, q) * image(i + p, j + q);
          h[f](i, j) = std::max(sum, 0.0);
          m(f) += h[f](i, j) / P;
        }
      z += v(f) * m(f);
    }
    const double delta = (1 / (1 + std::exp(-z)) - t(n)) / N;
    db += delta;
    for (int f = 0; f < F; ++f) {
      dv(f) += delta * m(f);
      const double dh = delta * v(f) / P;
      for (int i = 0; i < rows; ++i)
        for (int j = 0; j < cols; ++j)
          if (h[f](i, j) > 0)
            for (int p = 0; p < 3; ++p)
              for (int q = 0; q < 3; ++q) dW[f](p, q) += dh * image(i + p, j + q);
    }
  }
  b -= lr * db;
  for (int f = 0; f < F; ++f) {
    v(f) -= lr * dv(f);
    for (int p = 0; p < 3; ++p)
      for (int q = 0; q < 3; ++q) W[f](p, q) -= lr * dW[f](p, q);
  }
}

