#include "exercise.hpp"

// TODO between here and END ---------------------------------------------------------------------

// p, q (N×3H): blocks of H columns for r, z, n; s (N×H), the state before → h (N×H)
Matrix gru_cell(const Matrix& p, const Matrix& q, const Matrix& s) {
  Matrix h(s.rows(), s.cols());
  return h;
}

// delta = ∂L/∂h (N×H) → dp, dq (N×3H), ds (N×H) beside what goes through q; they come filled with zeros
void gru_cell_backward(const Matrix& delta, const Matrix& p, const Matrix& q, const Matrix& s, Matrix& dp, Matrix& dq,
                       Matrix& ds) {
}

// END -------------------------------------------------------------------------------------------
