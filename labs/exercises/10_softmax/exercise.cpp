#include "exercise.hpp"

// TODO between here and END ---------------------------------------------------------------------

// each row: yⱼ = e^(zⱼ)/Σₖ e^(zₖ)       z (N×C) → y (N×C)
Matrix softmax(const Matrix& z) {
  Matrix y(z.rows(), z.cols());
  return y;
}

// dz = ∂L/∂z       delta = ∂L/∂y (N×C), y = softmax(z) (N×C) → dz (N×C)
Matrix softmax_backward(const Matrix& delta, const Matrix& y) {
  Matrix dz(y.rows(), y.cols());
  return dz;
}

// END -------------------------------------------------------------------------------------------
