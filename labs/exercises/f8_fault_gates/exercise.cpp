#include "exercise.hpp"

// TODO between here and END ---------------------------------------------------------------------

// c = f∘s + i∘g, of one example, with i = σ(a_i), f = σ(a_f), g = tanh(a_g); i, f, g come from the forward
// dc = ∂L/∂c (H), s (H) → da (3H): ∂L/∂a_i, then ∂L/∂a_f, then ∂L/∂a_g
Vector gates_backward(const Vector& dc, const Vector& s, const Vector& i, const Vector& f, const Vector& g) {
  const int H = s.size();
  const int at_f = 0, at_i = H, at_g = 2 * H;  // where each gate's block begins
  Vector da(3 * H);
  for (int j = 0; j < H; ++j) {
    da(at_i + j) = dc(j) * g(j) * i(j) * (1 - i(j));
    da(at_f + j) = dc(j) * s(j) * f(j) * (1 - f(j));
    da(at_g + j) = dc(j) * i(j) * (1 - g(j) * g(j));
  }
  return da;
}

// END -------------------------------------------------------------------------------------------
