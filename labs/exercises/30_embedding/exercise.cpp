#include "exercise.hpp"

// TODO between here and END ---------------------------------------------------------------------

// yₜ = E[xₜ]       E (K×D), x: T numbers from 0 to K−1 → y (T×D)
Matrix embedding(const Matrix& E, const std::vector<int>& x) {
  Matrix y(static_cast<int>(x.size()), E.cols());
  return y;
}

// dE = ∂L/∂E       delta = ∂L/∂y (T×D), x as above, K → dE (K×D)
Matrix embedding_backward(const Matrix& delta, const std::vector<int>& x, int K) {
  Matrix dE(K, delta.cols());
  return dE;
}

// END -------------------------------------------------------------------------------------------
