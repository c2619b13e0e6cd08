#include "exercise.hpp"

// TODO between here and END ---------------------------------------------------------------------

// One part of a batch of `total` examples: adds its share of ∂L/∂w and ∂L/∂b to dw and db.
// x (n×D), t (n) of 0 and 1, w (D); dw (D) and db hold the shares of the parts before
void batch_gradient(const Matrix& x, const Vector& t, const Vector& w, double b, int total, Vector& dw, double& db) {
}

// END -------------------------------------------------------------------------------------------
