
// yᵢⱼ = Σ wᵤᵥ·xᵢ₊ᵤ,ⱼ₊ᵥ at every place where the filter fits       x (H×W), w (k×l)
Matrix correlate(const Matrix& x, const Matrix& w) {
  Matrix y(x.rows() - w.rows() + 1, x.cols() - w.cols() + 1);
  for (int i = 0; i < y.rows(); ++i)
    for (int j = 0; j < y.cols(); ++j)
      for (int u = 0; u < w.rows(); ++u)
        for (int v = 0; v < w.cols(); ++v) y(i, j) += w(u, v) * x(i + u, j + v);
  return y;
}

