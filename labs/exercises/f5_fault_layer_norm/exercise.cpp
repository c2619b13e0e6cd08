#include "exercise.hpp"

// TODO between here and END ---------------------------------------------------------------------

// each row: x̂ = (x − mean)·r with r = 1/√(var + 1e-5), y = γ∘x̂ + β
// delta = ∂L/∂y (N×C), xhat (N×C), r (N), gamma (C) → dx = ∂L/∂x (N×C)
Matrix layer_norm_backward(const Matrix& delta, const Matrix& xhat, const Vector& r, const Vector& gamma) {
  const int C = delta.cols();
  Matrix dx(delta.rows(), C);
  for (int n = 0; n < delta.rows(); ++n) {
    double mean_g = 0, mean_gx = 0;
    for (int c = 0; c < C; ++c) {
      const double g = gamma(c) * delta(n, c);
      mean_g += g / C;
      mean_gx += g * xhat(n, c) / C;
    }
    for (int c = 0; c < C; ++c) dx(n, c) = gamma(c) * r(n) * (gamma(c) * delta(n, c) - mean_g - xhat(n, c) * mean_gx);
  }
  return dx;
}

// END -------------------------------------------------------------------------------------------
