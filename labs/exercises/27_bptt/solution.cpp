
// delta (T×H): ∂L/∂h(t) as it comes from above; x (T×I), h0 (H), h (T×H) of the forward, W (H×I), U (H×H)
// → dW (H×I), dU (H×H), db (H), dx (T×I), dh0 (H), which come filled with zeros
void rnn_backward(const Matrix& delta, const Matrix& x, const Vector& h0, const Matrix& h, const Matrix& W,
                  const Matrix& U, Matrix& dW, Matrix& dU, Vector& db, Matrix& dx, Vector& dh0) {
  const int H = h.cols();
  Vector carry(H);  // what comes back from step t+1
  for (int t = x.rows() - 1; t >= 0; --t) {
    Vector back(H);
    for (int j = 0; j < H; ++j) {
      const double g = (delta(t, j) + carry(j)) * (1 - h(t, j) * h(t, j));
      db(j) += g;
      for (int i = 0; i < x.cols(); ++i) dW(j, i) += g * x(t, i);
      for (int i = 0; i < x.cols(); ++i) dx(t, i) += g * W(j, i);
      for (int k = 0; k < H; ++k) dU(j, k) += g * (t > 0 ? h(t - 1, k) : h0(k));
      for (int k = 0; k < H; ++k) back(k) += g * U(j, k);
    }
    carry = back;
  }
  dh0 = carry;
}
