#include "exercise.hpp"

// TODO between here and END ---------------------------------------------------------------------

// a (N×4H): blocks of H columns for i, f, g, o; s (N×H), c of the step before → h (N×H), and c (N×H), which comes
// filled with zeros
Matrix lstm_cell(const Matrix& a, const Matrix& s, Matrix& c) {
  Matrix h(s.rows(), s.cols());
  return h;
}

// dh = ∂L/∂h, dc = ∂L/∂c from the step after (N×H); a, s, c of the forward → da (N×4H), ds (N×H), filled with zeros
void lstm_cell_backward(const Matrix& dh, const Matrix& dc, const Matrix& a, const Matrix& s, const Matrix& c,
                        Matrix& da, Matrix& ds) {
}

// END -------------------------------------------------------------------------------------------
