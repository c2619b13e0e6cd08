#include "exercise.hpp"

// TODO between here and END ---------------------------------------------------------------------

// h = tanh(x·Wᵀ + s·Uᵀ + b)     x (N×I), s (N×H), W (H×I), U (H×H), b (H) → h (N×H)
Matrix rnn_step(const Matrix& x, const Matrix& s, const Matrix& W, const Matrix& U, const Vector& b) {
  Matrix h(x.rows(), W.rows());
  return h;
}

// delta = ∂L/∂h (N×H), h as the forward gave it → db (H), dW (H×I), dU (H×H), ds (N×H), which come filled with zeros
void rnn_step_backward(const Matrix& delta, const Matrix& x, const Matrix& s, const Matrix& h, const Matrix& U,
                       Vector& db, Matrix& dW, Matrix& dU, Matrix& ds) {
}

// END -------------------------------------------------------------------------------------------
