
// L + λ·ΣW²       W (C×D)
double l2_loss(double loss, const Matrix& W, double lambda) {
  double sum = 0;
  for (int o = 0; o < W.rows(); ++o)
    for (int i = 0; i < W.cols(); ++i) sum += W(o, i) * W(o, i);
  return loss + lambda * sum;
}

// Adds the penalty's share to dW, which holds ∂L/∂W already       W, dW (C×D)
void l2_gradient(const Matrix& W, double lambda, Matrix& dW) {
  for (int o = 0; o < W.rows(); ++o)
    for (int i = 0; i < W.cols(); ++i) dW(o, i) += 2 * lambda * W(o, i);
}

