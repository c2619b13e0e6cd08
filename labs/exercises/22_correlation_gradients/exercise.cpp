#include "exercise.hpp"

// TODO between here and END ---------------------------------------------------------------------

// dw = ∂L/∂w from δ = ∂L/∂y       delta (H−k+1 × W−l+1), x (H×W), dw (k×l)
Matrix correlation_dW(const Matrix& delta, const Matrix& x) {
  return Matrix(x.rows() - delta.rows() + 1, x.cols() - delta.cols() + 1);
}

// dx = ∂L/∂x                      w (k×l), dx (H×W)
Matrix correlation_dX(const Matrix& delta, const Matrix& w) {
  return Matrix(delta.rows() + w.rows() - 1, delta.cols() + w.cols() - 1);
}

// END -------------------------------------------------------------------------------------------
