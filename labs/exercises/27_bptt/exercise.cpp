#include "exercise.hpp"

// TODO between here and END ---------------------------------------------------------------------

// delta (T×H): ∂L/∂h(t) as it comes from above; x (T×I), h0 (H), h (T×H) of the forward, W (H×I), U (H×H)
// → dW (H×I), dU (H×H), db (H), dx (T×I), dh0 (H), which come filled with zeros
void rnn_backward(const Matrix& delta, const Matrix& x, const Vector& h0, const Matrix& h, const Matrix& W,
                  const Matrix& U, Matrix& dW, Matrix& dU, Vector& db, Matrix& dx, Vector& dh0) {
}

// END -------------------------------------------------------------------------------------------
