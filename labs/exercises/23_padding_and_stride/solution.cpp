
// yᵢⱼ = Σ wᵤᵥ·xₕₖ with h = i·s + u − p, k = j·s + v − p, where that is in x       x (H×W), w (K×L)
Matrix convolve(const Matrix& x, const Matrix& w, int s, int p) {
  Matrix y((x.rows() + 2 * p - w.rows()) / s + 1, (x.cols() + 2 * p - w.cols()) / s + 1);
  for (int i = 0; i < y.rows(); ++i)
    for (int j = 0; j < y.cols(); ++j)
      for (int u = 0; u < w.rows(); ++u)
        for (int v = 0; v < w.cols(); ++v) {
          const int h = i * s + u - p, k = j * s + v - p;
          if (h >= 0 && h < x.rows() && k >= 0 && k < x.cols()) y(i, j) += w(u, v) * x(h, k);
        }
  return y;
}

// dx = ∂L/∂x (rows×cols) from δ = ∂L/∂y
Matrix convolve_dX(const Matrix& delta, const Matrix& w, int rows, int cols, int s, int p) {
  Matrix dX(rows, cols);
  for (int i = 0; i < delta.rows(); ++i)
    for (int j = 0; j < delta.cols(); ++j)
      for (int u = 0; u < w.rows(); ++u)
        for (int v = 0; v < w.cols(); ++v) {
          const int h = s * i + u - p, k = s * j + v - p;
          if (h >= 0 && h < rows && k >= 0 && k < cols) dX(h, k) += delta(i, j) * w(u, v);
        }
  return dX;
}

