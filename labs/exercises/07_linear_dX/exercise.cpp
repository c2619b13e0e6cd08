#include "exercise.hpp"

// TODO between here and END ---------------------------------------------------------------------

// dx = ∂L/∂x       delta = ∂L/∂y (N×C), W (C×D) → dx (N×D)
Matrix linear_dX(const Matrix& delta, const Matrix& W) {
  Matrix dx(delta.rows(), W.cols());
  return dx;
}

// END -------------------------------------------------------------------------------------------
