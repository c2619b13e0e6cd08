#include "exercise.hpp"

// TODO between here and END ---------------------------------------------------------------------

// dW = ∂L/∂W       delta = ∂L/∂y (N×C), x (N×D) → dW (C×D)
Matrix linear_dW(const Matrix& delta, const Matrix& x) {
  Matrix dW(delta.cols(), x.cols());
  return dW;
}

// END -------------------------------------------------------------------------------------------
