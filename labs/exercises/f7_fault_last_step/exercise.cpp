#include "exercise.hpp"

// TODO between here and END ---------------------------------------------------------------------

// h(t) = tanh(w·x(t) + u·h(t−1)), h(−1) = 0, one sequence of T steps of numbers
// delta (T): ∂L/∂h(t), what L sees of h(t) directly; x (T), h (T) of the forward, u → dw, du, which come as 0
void recurrent_backward(const Vector& delta, const Vector& x, const Vector& h, double u, double& dw, double& du) {
  const int T = x.size();
  double dh = delta(T - 1);
  for (int t = T - 1; t >= 0; --t) {
    const double g = dh * (1 - h(t) * h(t));
    dw += g * x(t);
    if (t > 0) du += g * h(t - 1);
    dh = g * u;
  }
}

// END -------------------------------------------------------------------------------------------
