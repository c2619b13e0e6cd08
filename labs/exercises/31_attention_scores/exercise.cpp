#include "exercise.hpp"

// TODO between here and END ---------------------------------------------------------------------

// S = τ·Q·Kᵀ for j ≤ i, and −∞ (-INFINITY) for j > i       Q, K (T×d) → S (T×T)
Matrix scores(const Matrix& Q, const Matrix& K) {
  Matrix S(Q.rows(), K.rows());
  return S;
}

// dS = ∂L/∂S (T×T), Q, K (T×d) → dQ, dK (T×d), which come filled with zeros
void scores_backward(const Matrix& dS, const Matrix& Q, const Matrix& K, Matrix& dQ, Matrix& dK) {
}

// END -------------------------------------------------------------------------------------------
