#include "exercise.hpp"

// TODO between here and END ---------------------------------------------------------------------

// y = max(z, 0)       z (N×C) → y (N×C)
Matrix relu(const Matrix& z) {
  Matrix y(z.rows(), z.cols());
  return y;
}

// dz = ∂L/∂z       delta = ∂L/∂y (N×C), z (N×C) → dz (N×C)
Matrix relu_backward(const Matrix& delta, const Matrix& z) {
  Matrix dz(z.rows(), z.cols());
  return dz;
}

// END -------------------------------------------------------------------------------------------
