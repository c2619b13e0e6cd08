#pragma once
// What the exercises on batch norm and layer norm share: both are y = γ∘x̂ + β and differ in what x̂ is taken over.
#include "exercises/engine/check.hpp"

namespace handgrad::exercises {

using NormForward = Matrix(const Matrix& x, const Vector& gamma, const Vector& beta, double eps);
using NormBackward = void(const Matrix& delta, const Matrix& x, const Vector& gamma, double eps, Vector& dbeta,
                          Vector& dgamma, Matrix& dx);

/// y = γ∘x̂ + β
inline Matrix scaled(const Matrix& hat, const Vector& gamma, const Vector& beta) {
  Matrix y(hat.rows(), hat.cols());
  for (int n = 0; n < hat.rows(); ++n)
    for (int c = 0; c < hat.cols(); ++c) y(n, c) = gamma(c) * hat(n, c) + beta(c);
  return y;
}

/// A case for paper with ε = 0; `normalised` gives x̂ of x.
inline Paper norm_on_paper(const Matrix& x, NormForward* forward, NormBackward* backward,
                           const std::function<Matrix(const Matrix&)>& normalised) {
  using T = Tensor<double>;
  const Matrix delta = paper_matrix(x.rows(), x.cols(), 1), xhat = normalised(x);
  const Vector gamma = paper_vector(x.cols(), 0), beta = paper_vector(x.cols(), 2);
  Vector dbeta(x.cols()), dgamma(x.cols());
  Matrix dx(x.rows(), x.cols());
  const auto of = [&](const Matrix& hat, const Vector& scale, const Vector& shift) {
    return projected(scaled(hat, scale, shift), delta);
  };
  const T y = tensor(forward(x, gamma, beta, 0));
  backward(delta, x, gamma, 0, dbeta, dgamma, dx);
  return first_wrong(
      {{"x", tensor(x)},
       {"gamma", tensor(gamma)},
       {"beta", tensor(beta)},
       {"eps", tensor(0.0)},
       {"delta", tensor(delta)}},
      {{"y", y, tensor(scaled(xhat, gamma, beta))},
       {"dbeta", tensor(dbeta), slope(tensor(beta), [&](const T& v) { return of(xhat, gamma, vector(v)); })},
       {"dgamma", tensor(dgamma), slope(tensor(gamma), [&](const T& v) { return of(xhat, vector(v), beta); })},
       {"dx", tensor(dx), slope(tensor(x), [&](const T& v) { return of(normalised(matrix(v)), gamma, beta); })}});
}

}  // namespace handgrad::exercises
