#include "exercise.hpp"

// TODO between here and END ---------------------------------------------------------------------

// y = x∘mask/keep       x, mask (N×C) → y (N×C)
Matrix dropout(const Matrix& x, const Matrix& mask, double keep) {
  Matrix y(x.rows(), x.cols());
  return y;
}

// dx = ∂L/∂x       delta = ∂L/∂y, mask (N×C) → dx (N×C)
Matrix dropout_backward(const Matrix& delta, const Matrix& mask, double keep) {
  Matrix dx(delta.rows(), delta.cols());
  return dx;
}

// END -------------------------------------------------------------------------------------------
