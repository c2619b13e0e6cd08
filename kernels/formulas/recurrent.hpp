#pragma once
// The cells of recurrent layers: one unit, one step. p (one for each gate) comes from the input, p = W_ih·x + b_ih, and
// q from the previous state, q = W_hh·h₋ + b_hh. For SIMD batches of units and for numbers, on CPU and GPU.
//
// A backward takes dh = ∂L/∂h, the sum of the gradients from the step's output and from the next step, and returns dp,
// dq and dh₋, the part of ∂L/∂h₋ that does not pass through q. (The rest is dq·W_hh, a product.)
#include <cstddef>

#include "kernels/formulas/activations.hpp"
#include "kernels/recurrent.hpp"

namespace handgrad::formulas {

/// The result of the forward of a cell with G gates: the activated gates, from which the backward computes its
/// derivatives; for some cells one more number, `kept`; and the new state.
template <class V, std::size_t G>
struct CellStep {
  V gates[G], kept, h;
};
template <class V, std::size_t G>
struct CellGradient {
  V dp[G];
  V dq_last;  // dq of the last gate; for the others dq = dp
  V dh, dc;   // dh₋ without dq·W_hh, and dc₋
};

/// h = φ(p + q)
/// dp = dq = dh·φ′, from the output
template <class F>
struct ElmanCell {
  static constexpr std::size_t gates = 1;
  static constexpr bool keeps = false;   // nothing besides the gates
  static constexpr bool passes = false;  // h depends on h₋ only through q

  template <class V>
  HANDGRAD_HOST_DEVICE static CellStep<V, 1> forward(const V* p, const V* q, V, V) {
    const V h = F{}.value(p[0] + q[0]);
    return {{h}, h, h};
  }
  template <class V>
  HANDGRAD_HOST_DEVICE static CellGradient<V, 1> backward(const V* gate, V, V, V, V dh, V dc) {
    const V dp = dh * F{}.derivative(gate[0], gate[0]);
    return {{dp}, dp, dh, dc};
  }
};

/// Input, forget and output gate i, f, o = σ(p + q), candidate g = tanh(p + q):
///     c = f·c₋ + i·g,  h = o·tanh(c)
/// With t = tanh(c):  do = dh·t,  dc = dc + dh·o·(1 − t²)   (c acts through h and through the next step's c)
///     di = dc·g,  df = dc·c₋,  dg = dc·i,  dc₋ = dc·f;  then σ′ = σ(1 − σ), tanh′ = 1 − tanh²
struct LSTMCell {
  static constexpr std::size_t gates = 4;
  static constexpr bool keeps = true;  // c
  static constexpr bool passes = false;

  template <class V>
  HANDGRAD_HOST_DEVICE static CellStep<V, 4> forward(const V* p, const V* q, V, V c_before) {
    const V i = Sigmoid{}.value(p[0] + q[0]), f = Sigmoid{}.value(p[1] + q[1]), g = Tanh{}.value(p[2] + q[2]),
            o = Sigmoid{}.value(p[3] + q[3]);
    const V c = f * c_before + i * g;
    return {{i, f, g, o}, c, o * Tanh{}.value(c)};
  }
  template <class V>
  HANDGRAD_HOST_DEVICE static CellGradient<V, 4> backward(const V* gate, V c, V c_before, V, V dh, V dc_after) {
    const V i = gate[0], f = gate[1], g = gate[2], o = gate[3], one = constant<V>(1), t = Tanh{}.value(c);
    const V dc = dc_after + dh * o * (one - t * t);
    const V dp_o = dh * t * o * (one - o);
    return {{dc * g * i * (one - i), dc * c_before * f * (one - f), dc * i * (one - g * g), dp_o}, dp_o, dh, dc * f};
  }
};

/// Reset and update gate r, z = σ(p + q), candidate n = tanh(p + r·q), whose q is kept:
///     h = (1 − z)·n + z·h₋
/// dz = dh·(h₋ − n),  dn = dh·(1 − z),  dh₋ = dh·z + …;  for n's p: dp = dn·(1 − n²), so dr = dp·q and dq = dp·r
struct GRUCell {
  static constexpr std::size_t gates = 3;
  static constexpr bool keeps = true;   // q of n
  static constexpr bool passes = true;  // z·h₋

  template <class V>
  HANDGRAD_HOST_DEVICE static CellStep<V, 3> forward(const V* p, const V* q, V h_before, V) {
    const V r = Sigmoid{}.value(p[0] + q[0]), z = Sigmoid{}.value(p[1] + q[1]), n = Tanh{}.value(p[2] + r * q[2]);
    return {{r, z, n}, q[2], (constant<V>(1) - z) * n + z * h_before};
  }
  template <class V>
  HANDGRAD_HOST_DEVICE static CellGradient<V, 3> backward(const V* gate, V q, V, V h_before, V dh, V dc) {
    const V r = gate[0], z = gate[1], n = gate[2], one = constant<V>(1);
    const V dp = dh * (one - z) * (one - n * n);
    return {{dp * q * r * (one - r), dh * (h_before - n) * z * (one - z), dp}, dp * r, dh * z, dc};
  }
};

/// f(the cell's formulas).
template <class F>
void visit(kernels::RecurrentCell cell, F&& f) {
  switch (cell) {
    case kernels::RecurrentCell::Tanh:
      return f(ElmanCell<Tanh>());
    case kernels::RecurrentCell::ReLU:
      return f(ElmanCell<ReLU>());
    case kernels::RecurrentCell::LSTM:
      return f(LSTMCell());
    case kernels::RecurrentCell::GRU:
      return f(GRUCell());
  }
}

}  // namespace handgrad::formulas
