#include "exercise.hpp"

// TODO between here and END ---------------------------------------------------------------------

// yᵢⱼ = Σ wᵤᵥ·xₕₖ with h = i·s + u − p, k = j·s + v − p, where that is in x       x (H×W), w (K×L)
Matrix convolve(const Matrix& x, const Matrix& w, int s, int p) {
  return Matrix((x.rows() + 2 * p - w.rows()) / s + 1, (x.cols() + 2 * p - w.cols()) / s + 1);
}

// dx = ∂L/∂x (rows×cols) from δ = ∂L/∂y
Matrix convolve_dX(const Matrix& delta, const Matrix& w, int rows, int cols, int s, int p) {
  return Matrix(rows, cols);
}

// END -------------------------------------------------------------------------------------------
