
// dw = ∂L/∂w from δ = ∂L/∂y       delta (H−k+1 × W−l+1), x (H×W), dw (k×l)
Matrix correlation_dW(const Matrix& delta, const Matrix& x) {
  Matrix dW(x.rows() - delta.rows() + 1, x.cols() - delta.cols() + 1);
  for (int i = 0; i < delta.rows(); ++i)
    for (int j = 0; j < delta.cols(); ++j)
      for (int u = 0; u < dW.rows(); ++u)
        for (int v = 0; v < dW.cols(); ++v) dW(u, v) += delta(i, j) * x(i + u, j + v);
  return dW;
}

// dx = ∂L/∂x                      w (k×l), dx (H×W)
Matrix correlation_dX(const Matrix& delta, const Matrix& w) {
  Matrix dX(delta.rows() + w.rows() - 1, delta.cols() + w.cols() - 1);
  for (int i = 0; i < delta.rows(); ++i)
    for (int j = 0; j < delta.cols(); ++j)
      for (int u = 0; u < w.rows(); ++u)
        for (int v = 0; v < w.cols(); ++v) dX(i + u, j + v) += delta(i, j) * w(u, v);
  return dX;
}

