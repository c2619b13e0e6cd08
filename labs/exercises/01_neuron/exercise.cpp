#include "exercise.hpp"

// TODO between here and END ---------------------------------------------------------------------

// y = Σᵢ wᵢ·xᵢ + b        w (D), x (D)
double neuron(const Vector& w, double b, const Vector& x) {
  return 0;
}

// dwᵢ = ∂L/∂wᵢ, given delta = ∂L/∂y       x (D) → dw (D)
Vector neuron_dw(double delta, const Vector& x) {
  Vector dw(x.size());
  return dw;
}

// END -------------------------------------------------------------------------------------------
