#include "exercise.hpp"

// TODO between here and END ---------------------------------------------------------------------

// y = x + tanh(x·W₁ᵀ)·W₂ᵀ       x (N×i), W1 (h×i), W2 (i×h) → y (N×i)
Matrix residual(const Matrix& x, const Matrix& W1, const Matrix& W2) {
  Matrix y(x.rows(), x.cols());
  return y;
}

// delta = ∂L/∂y, x, W1, W2 as above, a = tanh(x·W₁ᵀ) (N×h) → dW2 (i×h), dW1 (h×i), dx (N×i), which come filled with zeros
void residual_backward(const Matrix& delta, const Matrix& x, const Matrix& W1, const Matrix& W2, const Matrix& a,
                       Matrix& dW2, Matrix& dW1, Matrix& dx) {
}

// END -------------------------------------------------------------------------------------------
