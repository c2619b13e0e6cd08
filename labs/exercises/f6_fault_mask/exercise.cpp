#include "exercise.hpp"

// TODO between here and END ---------------------------------------------------------------------

// y = x∘mask/keep       delta = ∂L/∂y (N×C), mask (N×C, 0 or 1), keep = the share that stays → dx = ∂L/∂x (N×C)
Matrix dropout_backward(const Matrix& delta, const Matrix& mask, double keep) {
  Matrix dx(delta.rows(), delta.cols());
  for (int n = 0; n < delta.rows(); ++n)
    for (int c = 0; c < delta.cols(); ++c) dx(n, c) = delta(n, c) / keep;
  return dx;
}

// END -------------------------------------------------------------------------------------------
