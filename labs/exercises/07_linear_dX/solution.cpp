
// dx = ∂L/∂x       delta = ∂L/∂y (N×C), W (C×D) → dx (N×D)
Matrix linear_dX(const Matrix& delta, const Matrix& W) {
  Matrix dx(delta.rows(), W.cols());
  for (int n = 0; n < delta.rows(); ++n)
    for (int i = 0; i < W.cols(); ++i)
      for (int o = 0; o < W.rows(); ++o) dx(n, i) += delta(n, o) * W(o, i);
  return dx;
}

