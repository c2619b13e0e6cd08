#include "exercise.hpp"

// TODO between here and END ---------------------------------------------------------------------

// y = x + x·Wᵀ       delta = ∂L/∂y (N×D), W (D×D) → dx = ∂L/∂x (N×D)
Matrix residual_backward(const Matrix& delta, const Matrix& W) {
  Matrix dx(delta.rows(), W.cols());
  for (int n = 0; n < delta.rows(); ++n)
    for (int i = 0; i < W.cols(); ++i) {
      dx(n, i) = 0;
      for (int o = 0; o < W.rows(); ++o) dx(n, i) += delta(n, o) * W(o, i);
    }
  return dx;
}

// END -------------------------------------------------------------------------------------------
