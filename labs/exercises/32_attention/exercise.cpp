#include "exercise.hpp"

// P = softmax(τ·Q·Kᵀ) by rows (T×T)
inline Matrix probabilities(const Matrix& Q, const Matrix& K) {
  Matrix P(Q.rows(), K.rows());
  for (int i = 0; i < P.rows(); ++i) {
    double sum = 0;
    for (int j = 0; j < P.cols(); ++j) {
      double s = 0;
      for (int c = 0; c < Q.cols(); ++c) s += Q(i, c) * K(j, c) / std::sqrt(Q.cols());
      sum += P(i, j) = std::exp(s);
    }
    for (int j = 0; j < P.cols(); ++j) P(i, j) /= sum;
  }
  return P;
}

// TODO between here and END ---------------------------------------------------------------------

// delta = ∂L/∂O, Q, K, V (T×d), P as above → dQ, dK, dV (T×d), which come filled with zeros
void attention_backward(const Matrix& delta, const Matrix& Q, const Matrix& K, const Matrix& V, const Matrix& P,
                        Matrix& dQ, Matrix& dK, Matrix& dV) {
}

// END -------------------------------------------------------------------------------------------
