#include "exercise.hpp"

// TODO between here and END ---------------------------------------------------------------------

// y = sin(h)·exp(−h²/32), h = w1 + 0.06·w2·x
double gabor(double w1, double w2, double x) {
  return 0;
}

// dw1 = ∂L/∂w1 and dw2 = ∂L/∂w2 for L = 1/N Σ (y − t)²       x, t (N)
void gabor_gradient(double w1, double w2, const Vector& x, const Vector& t, double& dw1, double& dw2) {
  dw1 = dw2 = 0;
}

// END -------------------------------------------------------------------------------------------
