#include "exercise.hpp"

// TODO between here and END ---------------------------------------------------------------------

// y = z·σ(z)       delta = ∂L/∂y (N×C), z (N×C) → dz = ∂L/∂z (N×C)
Matrix silu_backward(const Matrix& delta, const Matrix& z) {
  Matrix dz(z.rows(), z.cols());
  for (int n = 0; n < z.rows(); ++n)
    for (int c = 0; c < z.cols(); ++c) {
      const double y = z(n, c) / (1 + std::exp(-z(n, c))), s = 1 / (1 + std::exp(-y));
      dz(n, c) = delta(n, c) * (s + y * s * (1 - s));
    }
  return dz;
}

// END -------------------------------------------------------------------------------------------
