
// yₜ = E[xₜ]       E (K×D), x: T numbers from 0 to K−1 → y (T×D)
Matrix embedding(const Matrix& E, const std::vector<int>& x) {
  Matrix y(static_cast<int>(x.size()), E.cols());
  for (int t = 0; t < y.rows(); ++t)
    for (int j = 0; j < y.cols(); ++j) y(t, j) = E(x[static_cast<std::size_t>(t)], j);
  return y;
}

// dE = ∂L/∂E       delta = ∂L/∂y (T×D), x as above, K → dE (K×D)
Matrix embedding_backward(const Matrix& delta, const std::vector<int>& x, int K) {
  Matrix dE(K, delta.cols());
  for (int t = 0; t < delta.rows(); ++t)
    for (int j = 0; j < delta.cols(); ++j) dE(x[static_cast<std::size_t>(t)], j) += delta(t, j);
  return dE;
}

