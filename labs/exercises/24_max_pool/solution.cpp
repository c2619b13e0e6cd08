
// yᵢⱼ = max of the k×k window at (i·k, j·k)       x (H×W), y (H/k × W/k)
Matrix max_pool(const Matrix& x, int k) {
  Matrix y(x.rows() / k, x.cols() / k);
  for (int i = 0; i < y.rows(); ++i)
    for (int j = 0; j < y.cols(); ++j) {
      y(i, j) = x(i * k, j * k);
      for (int u = 0; u < k; ++u)
        for (int v = 0; v < k; ++v) y(i, j) = std::max(y(i, j), x(i * k + u, j * k + v));
    }
  return y;
}

// dx = ∂L/∂x from δ = ∂L/∂y; of equal elements the first, row by row, is the maximum
Matrix max_pool_dX(const Matrix& delta, const Matrix& x, int k) {
  Matrix dX(x.rows(), x.cols());
  for (int i = 0; i < delta.rows(); ++i)
    for (int j = 0; j < delta.cols(); ++j) {
      int h = i * k, w = j * k;
      for (int u = 0; u < k; ++u)
        for (int v = 0; v < k; ++v)
          if (x(i * k + u, j * k + v) > x(h, w)) {
            h = i * k + u;
            w = j * k + v;
          }
      dX(h, w) += delta(i, j);
    }
  return dX;
}

