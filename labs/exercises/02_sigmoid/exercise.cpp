#include "exercise.hpp"

// TODO between here and END ---------------------------------------------------------------------

// σ(z) = 1/(1 + e⁻ᶻ)
double sigmoid(double z) {
  return 0;
}

// σ′ as a function of the output y = σ(z)
double sigmoid_derivative(double y) {
  return 0;
}

// END -------------------------------------------------------------------------------------------
