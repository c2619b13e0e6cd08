#include "exercise.hpp"

// TODO between here and END ---------------------------------------------------------------------

// One step of gradient descent.
// x (N×2), t (N×1); W1 (H×2), b1 (H), W2 (1×H), b2 (1) are changed; lr = η
void xor_step(const Matrix& x, const Matrix& t, Matrix& W1, Vector& b1, Matrix& W2, Vector& b2, double lr) {
}

// END -------------------------------------------------------------------------------------------
