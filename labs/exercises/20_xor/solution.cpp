
// One step of gradient descent.
// x (N×2), t (N×1); W1 (H×2), b1 (H), W2 (1×H), b2 (1) are changed; lr = η
void xor_step(const Matrix& x, const Matrix& t, Matrix& W1, Vector& b1, Matrix& W2, Vector& b2, double lr) {
  const int N = x.rows(), H = W1.rows();
  Matrix dW1(H, 2), dW2(1, H);
  Vector db1(H), db2(1), h(H);
  for (int n = 0; n < N; ++n) {
    double z = b2(0);
    for (int j = 0; j < H; ++j) {
      h(j) = std::tanh(x(n, 0) * W1(j, 0) + x(n, 1) * W1(j, 1) + b1(j));
      z += h(j) * W2(0, j);
    }
    const double delta2 = (1 / (1 + std::exp(-z)) - t(n, 0)) / N;
    db2(0) += delta2;
    for (int j = 0; j < H; ++j) {
      const double delta1 = delta2 * W2(0, j) * (1 - h(j) * h(j));
      dW2(0, j) += delta2 * h(j);
      db1(j) += delta1;
      dW1(j, 0) += delta1 * x(n, 0);
      dW1(j, 1) += delta1 * x(n, 1);
    }
  }
  b2(0) -= lr * db2(0);
  for (int j = 0; j < H; ++j) {
    W2(0, j) -= lr * dW2(0, j);
    b1(j) -= lr * db1(j);
    W1(j, 0) -= lr * dW1(j, 0);
    W1(j, 1) -= lr * dW1(j, 1);
  }
}

