#include "handgrad/check/sequence.hpp"

#include <algorithm>
#include <cmath>
#include <optional>
#include <utility>

namespace handgrad::detail {

namespace {

using Values = std::vector<double>;

enum class Cell { Tanh, ReLU, LSTM, GRU };

double sigmoid(double z) { return z < 0 ? std::exp(z) / (1 + std::exp(z)) : 1 / (1 + std::exp(-z)); }

/// A fault of the backward, at one of the gates or in general (−1). Swapped: two gates' blocks.
struct Fault {
  enum Kind {
    None,
    Cut,            // no gradient from the next step
    CutH,           // … no dh
    CutC,           // … no dc
    LastStep,       // only the last step
    Overwritten,    // = instead of += in the loop over steps
    NewState,       // dU with h_t instead of h_{t−1}
    NewCell,        // the forget gate with c_t instead of c_{t−1}
    Missing,        // φ′ omitted
    AtSum,          // φ′ of the wrong variable: its formula in y applied to a
    AtOutput,       // … φ′(y) instead of φ′(a)
    OtherFunction,  // tanh's instead of σ's, or the reverse
    CellMissing,    // tanh′(c) omitted
    CellAtC,        // … 1 − c²
    Swapped,
    Complement,   // z instead of 1 − z
    NoReset,      // dq of n without r
    ResetAtState  // U·(r∘h₋) instead of r∘(U·h₋)
  } kind = None;
  int gate = -1, other = -1;
  bool at(int g) const { return gate < 0 || gate == g; }
};

struct Gradients {
  Values W, U, b, d, x, h0, c0;
};

/// The layer in the library's form: p = W·x + b, q = U·h₋ + d, gates in PyTorch's order.
struct Sequence {
  Cell cell = Cell::Tanh;
  std::size_t steps = 0, batch = 0, inputs = 0, units = 0;
  bool batch_first = false, last_alone = false;
  Values W, U, b, d, x, h0, c0, dy, dh_n, dc_n;
  // For all steps: sums, activated gates, and states, preceded by the initial states.
  Values p, q, gates, h, c;

  std::size_t gate_count() const { return cell == Cell::LSTM ? 4 : cell == Cell::GRU ? 3 : 1; }
  std::size_t row(std::size_t t, std::size_t n) const { return batch_first ? n * steps + t : t * batch + n; }
  /// Whether gate g is a σ.
  bool squashes(std::size_t g) const { return (cell == Cell::LSTM && g != 2) || (cell == Cell::GRU && g != 2); }
  double phi(std::size_t g, double a) const {
    return squashes(g) ? sigmoid(a) : cell == Cell::ReLU ? std::max(a, 0.0) : std::tanh(a);
  }
  double derivative(std::size_t g, double a, double y, const Fault& fault) const {
    const bool wrong = fault.at(static_cast<int>(g));
    if (wrong && fault.kind == Fault::Missing) return 1;
    if (cell == Cell::ReLU) return y > 0 ? 1 : 0;
    double v = y;
    bool as_sigmoid = squashes(g);
    if (wrong && fault.kind == Fault::AtSum) v = a;
    if (wrong && fault.kind == Fault::AtOutput) v = phi(g, y);
    if (wrong && fault.kind == Fault::OtherFunction) as_sigmoid = !as_sigmoid;
    return as_sigmoid ? v * (1 - v) : 1 - v * v;
  }

  void forward() {
    const std::size_t G = gate_count(), H = units, GH = G * H;
    p.assign(steps * batch * GH, 0);
    q = gates = p;
    h.assign((steps + 1) * batch * H, 0);
    c = h;
    std::copy(h0.begin(), h0.end(), h.begin());
    std::copy(c0.begin(), c0.end(), c.begin());
    for (std::size_t t = 0; t < steps; ++t)
      for (std::size_t n = 0; n < batch; ++n) {
        const std::size_t at = (t * batch + n) * GH, before = (t * batch + n) * H, now = ((t + 1) * batch + n) * H;
        for (std::size_t r = 0; r < GH; ++r) {
          double from_x = b.empty() ? 0 : b[r], from_h = d.empty() ? 0 : d[r];
          for (std::size_t i = 0; i < inputs; ++i) from_x += W[r * inputs + i] * x[row(t, n) * inputs + i];
          for (std::size_t k = 0; k < H; ++k) from_h += U[r * H + k] * h[before + k];
          p[at + r] = from_x, q[at + r] = from_h;
        }
        for (std::size_t j = 0; j < H; ++j) {
          double y[4] = {};
          for (std::size_t g = 0; g < G; ++g) {
            const std::size_t k = at + g * H + j;
            y[g] = phi(g, cell == Cell::GRU && g == 2 ? p[k] + y[0] * q[k] : p[k] + q[k]);
            gates[k] = y[g];
          }
          if (cell == Cell::LSTM) {
            c[now + j] = y[1] * c[before + j] + y[0] * y[2];
            h[now + j] = y[3] * std::tanh(c[now + j]);
          } else {
            h[now + j] = cell == Cell::GRU ? (1 - y[1]) * y[2] + y[1] * h[before + j] : y[0];
          }
        }
      }
  }

  Gradients backward(const Fault& fault) const {
    const std::size_t G = gate_count(), H = units, GH = G * H;
    Gradients all{Values(W.size()), Values(U.size()), Values(GH), Values(GH), Values(x.size()), {}, {}};
    Values dh = dh_n.empty() ? Values(batch * H) : dh_n, dc = dc_n.empty() ? Values(batch * H) : dc_n;
    const std::size_t end = fault.kind == Fault::LastStep ? steps - 1 : 0;
    for (std::size_t t = steps; t-- > end;) {
      Values dp(batch * GH), dq(batch * GH), back(batch * H);
      if (t + 1 < steps && (fault.kind == Fault::Cut || fault.kind == Fault::CutH)) dh.assign(dh.size(), 0);
      if (t + 1 < steps && (fault.kind == Fault::Cut || fault.kind == Fault::CutC)) dc.assign(dc.size(), 0);
      if (fault.kind == Fault::Overwritten)
        for (Values* sum : {&all.W, &all.U, &all.b, &all.d}) sum->assign(sum->size(), 0);
      for (std::size_t n = 0; n < batch; ++n)
        for (std::size_t j = 0; j < H; ++j) {
          const std::size_t at = (t * batch + n) * GH + j, own = n * H + j, before = (t * batch + n) * H + j,
                            now = ((t + 1) * batch + n) * H + j;
          double from_above = 0;
          if (!last_alone)
            from_above = dy[row(t, n) * H + j];
          else if (t + 1 == steps)
            from_above = dy[own];
          const double d_h = dh[own] + from_above;
          const auto slope = [&](std::size_t g) {
            const std::size_t k = at + g * H;
            const double sum = cell == Cell::GRU && g == 2 ? p[k] + gates[at] * q[k] : p[k] + q[k];
            return derivative(g, sum, gates[k], fault);
          };
          double blocks[4] = {};
          double last_q = 0;
          if (cell == Cell::LSTM) {
            const double i = gates[at], f = gates[at + H], g = gates[at + 2 * H], o = gates[at + 3 * H],
                         tanh_c = std::tanh(c[now]);
            const double of_c = fault.kind == Fault::CellMissing ? 1
                                : fault.kind == Fault::CellAtC   ? 1 - c[now] * c[now]
                                                                 : 1 - tanh_c * tanh_c;
            const double d_c = dc[own] + d_h * o * of_c;
            blocks[0] = d_c * g * slope(0);
            blocks[1] = d_c * (fault.kind == Fault::NewCell ? c[now] : c[before]) * slope(1);
            blocks[2] = d_c * i * slope(2);
            blocks[3] = last_q = d_h * tanh_c * slope(3);
            dc[own] = d_c * f;
          } else if (cell == Cell::GRU) {
            const double r = gates[at], z = gates[at + H], new_state = gates[at + 2 * H];
            blocks[2] = d_h * (fault.kind == Fault::Complement ? z : 1 - z) * slope(2);
            blocks[1] = d_h * (h[before] - new_state) * slope(1);
            blocks[0] = blocks[2] * q[at + 2 * H] * slope(0);
            last_q = fault.kind == Fault::NoReset || fault.kind == Fault::ResetAtState ? blocks[2] : blocks[2] * r;
            back[own] = d_h * (fault.kind == Fault::Complement ? 1 - z : z);
          } else {
            blocks[0] = last_q = d_h * slope(0);
          }
          if (fault.kind == Fault::Swapped) {
            std::swap(blocks[fault.gate], blocks[fault.other]);
            if (cell == Cell::LSTM) last_q = blocks[3];
          }
          for (std::size_t g = 0; g < G; ++g) {
            dp[n * GH + g * H + j] = blocks[g];
            dq[n * GH + g * H + j] = g + 1 < G ? blocks[g] : last_q;
          }
        }
      // What r multiplies in the block of n, if it is taken to stand before U.
      const auto reset = [&](std::size_t row, std::size_t n, std::size_t k) {
        return fault.kind == Fault::ResetAtState && row >= 2 * H ? gates[(t * batch + n) * GH + k] : 1;
      };
      if (fault.kind == Fault::ResetAtState)
        for (std::size_t n = 0; n < batch; ++n)
          for (std::size_t j = 0; j < H; ++j) {
            double to_state = 0;
            for (std::size_t k = 0; k < H; ++k) to_state += dp[n * GH + 2 * H + k] * U[(2 * H + k) * H + j];
            const std::size_t at = (t * batch + n) * GH + j;
            dp[n * GH + j] = dq[n * GH + j] =
                to_state * h[(t * batch + n) * H + j] * derivative(0, p[at] + q[at], gates[at], fault);
          }
      for (std::size_t n = 0; n < batch; ++n)
        for (std::size_t r = 0; r < GH; ++r) {
          const double g = dp[n * GH + r], s = dq[n * GH + r];
          all.b[r] += g, all.d[r] += s;
          for (std::size_t i = 0; i < inputs; ++i) {
            all.W[r * inputs + i] += g * x[row(t, n) * inputs + i];
            all.x[row(t, n) * inputs + i] += g * W[r * inputs + i];
          }
          for (std::size_t k = 0; k < H; ++k) {
            const double passed = s * reset(r, n, k);
            all.U[r * H + k] += passed * h[((fault.kind == Fault::NewState ? t + 1 : t) * batch + n) * H + k];
            back[n * H + k] += passed * U[r * H + k];
          }
        }
      dh = back;
    }
    all.h0 = dh, all.c0 = dc;
    return all;
  }
};

bool same(const Values& a, const Values& b) {
  double scale = 0, gap = 0;
  for (std::size_t i = 0; i < a.size() && i < b.size(); ++i) {
    scale = std::max(scale, std::abs(b[i]));
    gap = std::max(gap, std::abs(a[i] - b[i]));
  }
  return a.size() == b.size() && gap <= 1e-9 * scale;
}

/// y after the forward.
Values output(const Sequence& s) {
  Values y(s.last_alone ? s.batch * s.units : s.steps * s.batch * s.units);
  for (std::size_t t = s.last_alone ? s.steps - 1 : 0; t < s.steps; ++t)
    for (std::size_t n = 0; n < s.batch; ++n)
      for (std::size_t j = 0; j < s.units; ++j)
        y[(s.last_alone ? n : s.row(t, n)) * s.units + j] = s.h[((t + 1) * s.batch + n) * s.units + j];
  return y;
}

Values values_of(const std::vector<NamedTensor<double>>& list, const std::string& name) {
  for (const auto& [own, value] : list)
    if (own == name) return value.to_vector();
  return {};
}

/// The step as a recurrent layer, if some reading of its tensors gives y.
std::optional<Sequence> recognise_sequence(const GradientStep& step) {
  const std::size_t rank = step.x.defined() ? step.x.rank() : 0;
  if ((rank != 2 && rank != 3) || !step.y.defined() || !step.dy.defined() || step.y.rank() == 0) return {};
  std::vector<const Tensor<double>*> matrices, vectors;
  for (const auto& [name, value] : step.parameters) (value.rank() == 2 ? matrices : vectors).push_back(&value);
  if (matrices.size() != 2 || vectors.size() > 2) return {};
  Sequence s;
  s.inputs = step.x.size(-1), s.units = step.y.size(-1);
  s.last_alone = step.y.rank() + 1 == rank;
  if (!s.last_alone && step.y.rank() != rank) return {};
  s.x = step.x.to_vector(), s.dy = step.dy.to_vector();
  s.h0 = values_of(step.sides, "h0"), s.c0 = values_of(step.sides, "c0");
  s.dh_n = values_of(step.sides, "δ of h_n"), s.dc_n = values_of(step.sides, "δ of c_n");
  const Values y = step.y.to_vector();
  for (const bool batch_first : {false, true})
    for (const bool swapped : {false, true}) {
      if (batch_first && rank == 2) continue;
      s.batch_first = batch_first;
      s.steps = step.x.size(batch_first ? 1 : 0);
      s.batch = rank == 2 ? 1 : step.x.size(batch_first ? 0 : 1);
      const Tensor<double>&W = *matrices[swapped ? 1 : 0], &U = *matrices[swapped ? 0 : 1];
      if (W.size(1) != s.inputs || U.size(1) != s.units || W.size(0) != U.size(0)) continue;
      if (y.size() != (s.last_alone ? 1 : s.steps) * s.batch * s.units) continue;
      if (s.steps * s.batch * W.size(0) * (s.inputs + s.units) > 2'000'000) continue;
      for (const Cell cell : {Cell::Tanh, Cell::ReLU, Cell::LSTM, Cell::GRU}) {
        s.cell = cell;
        if (W.size(0) != s.gate_count() * s.units) continue;
        if ((!s.h0.empty() && s.h0.size() != s.batch * s.units) || (!s.c0.empty() && s.c0.size() != s.h0.size()))
          continue;
        for (const bool turned : {false, true}) {  // the order of the two biases
          if (turned && vectors.size() < 2) continue;
          if (std::any_of(vectors.begin(), vectors.end(), [&](const auto* v) { return v->numel() != W.size(0); }))
            continue;
          s.W = W.to_vector(), s.U = U.to_vector();
          s.b = vectors.empty() ? Values() : vectors[turned ? 1 : 0]->to_vector();
          s.d = vectors.size() < 2 ? Values() : vectors[turned ? 0 : 1]->to_vector();
          s.forward();
          if (same(output(s), y)) return s;
        }
      }
    }
  return {};
}

}  // namespace

std::vector<SequenceGuess> sequence_guesses(const GradientStep& step, const Tensor<double>& tensor) {
  const std::optional<Sequence> found = recognise_sequence(step);
  if (!found) return {};
  const Sequence& s = *found;
  const Values value = tensor.to_vector();
  const auto pick = [&](const Gradients& g) -> const Values* {
    const std::pair<const Values*, const Values*> all[] = {{&s.W, &g.W}, {&s.U, &g.U},   {&s.b, &g.b},  {&s.d, &g.d},
                                                           {&s.x, &g.x}, {&s.h0, &g.h0}, {&s.c0, &g.c0}};
    for (const auto& [own, gradient] : all)
      if (!own->empty() && *own == value) return gradient;
    return nullptr;
  };
  const auto grid = [&](const Values& v) {
    Grid g(tensor);
    g.elements = v;
    return g;
  };
  const Gradients right = s.backward({});
  if (!pick(right)) return {};
  std::vector<SequenceGuess> guesses;
  const auto add = [&](Cause cause, const Fault& fault, const std::string& what, const std::string& formula,
                       const std::string& where) {
    const Gradients wrong = s.backward(fault);
    guesses.push_back({cause, grid(*pick(right)), grid(*pick(wrong)), what, formula, where});
  };
  const std::string through_time = "∂L/∂h_t = δ_t + (∂h_{t+1}/∂h_t)ᵀ·∂L/∂h_{t+1}: carry it from step to step";
  add(Cause::StateGradientDropped, {Fault::Cut}, "backpropagation through time ends at one step",
      "each step with its own δ_t alone", through_time);
  add(Cause::LastStepOnly, {Fault::LastStep}, "only the last step is there", "the last step alone",
      "the sum goes over all steps");
  add(Cause::Overwritten, {Fault::Overwritten}, "each step overwrites what the others had added",
      "the first step alone, where the loop ends", "the parameters serve all steps: += in the loop over them");
  add(Cause::WrongState, {Fault::NewState}, "h_t stands where h_{t−1} belongs", "Σ dq_t·h_tᵀ",
      "q_t = W_hh·h_{t−1} + b_hh, so dW_hh = Σ dq_t·h_{t−1}ᵀ");
  const std::vector<std::string> names = s.cell == Cell::LSTM  ? std::vector<std::string>{"i", "f", "g", "o"}
                                         : s.cell == Cell::GRU ? std::vector<std::string>{"r", "z", "n"}
                                                               : std::vector<std::string>{"h"};
  const int gates = static_cast<int>(names.size());
  for (int g = gates > 1 ? -1 : 0; g < gates; ++g) {
    const std::string of = g < 0 ? "all gates" : (gates > 1 ? "gate " : "") + names[static_cast<std::size_t>(g)];
    const bool squashes = g >= 0 && s.squashes(static_cast<std::size_t>(g));
    const std::string formula = g < 0 ? "σ′ = σ(1 − σ), tanh′ = 1 − tanh²"
                                : s.cell == Cell::ReLU
                                    ? "[h > 0]"
                                    : (squashes ? names[std::size_t(g)] + "(1 − " + names[std::size_t(g)] + ")"
                                                : "1 − " + names[std::size_t(g)] + "²");
    add(Cause::DerivativeMissing, {Fault::Missing, g}, "the derivative of " + of + " is missing: " + formula,
        "1 in its place", "the gradient of " + of + " times " + formula);
    if (s.cell == Cell::ReLU) continue;
    const std::string wrong = "the derivative of " + of + " is taken of the wrong variable; it is " + formula;
    add(Cause::WrongVariable, {Fault::AtSum, g}, wrong, "the same formula with the sum a in it", formula);
    add(Cause::WrongVariable, {Fault::AtOutput, g}, wrong, "φ′(φ(a))", formula);
    add(Cause::WrongVariable, {Fault::OtherFunction, g}, wrong, "tanh's derivative for σ's, or σ's for tanh's",
        formula);
  }
  if (s.cell == Cell::LSTM) {
    add(Cause::StateGradientDropped, {Fault::CutH}, "what comes back to h from the next step is missing",
        "dh = δ_t alone", through_time);
    add(Cause::StateGradientDropped, {Fault::CutC}, "what comes back to c from the next step is missing",
        "dc = dh∘o(1 − tanh²c) alone", "c_t goes into h_t and into c_{t+1}: dc = dc₊ + dh∘o(1 − tanh²c)");
    add(Cause::WrongState, {Fault::NewCell}, "the forget gate's gradient is made of c_t, the new cell",
        "dc∘c_t∘f(1 − f)", "c_t = f∘c_{t−1} + …: dc∘c_{t−1}∘f(1 − f)");
    add(Cause::DerivativeMissing, {Fault::CellMissing}, "the derivative of tanh(c) is missing: 1 − tanh²c",
        "dc = dc₊ + dh∘o", "h = o∘tanh(c)");
    add(Cause::WrongVariable, {Fault::CellAtC},
        "the derivative of tanh(c) is taken of the wrong variable; it is 1 − tanh²c", "1 − c²", "h = o∘tanh(c)");
  }
  if (s.cell == Cell::GRU) {
    add(Cause::GatesSwapped, {Fault::Complement}, "z and 1 − z are swapped", "dn = dh∘z, dh₋ = dh∘(1 − z) + …",
        "h = (1 − z)∘n + z∘h₋");
    const std::string reset = "n = tanh(p_n + r∘q_n) with q_n = U_n·h₋ + d_n: dq_n = dp_n∘r, dr = dp_n∘q_n∘r(1 − r)";
    add(Cause::ResetGate, {Fault::NoReset}, "the reset gate r is missing in the gradient of q_n", "dq_n = dp_n", reset);
    add(Cause::ResetGate, {Fault::ResetAtState}, "the reset gate r is taken to multiply h₋, as in Cho's GRU",
        "n = tanh(p_n + U_n·(r∘h₋) + d_n)", reset);
  }
  for (int a = 0; a < gates; ++a)
    for (int b = a + 1; b < gates; ++b)
      add(Cause::GatesSwapped, {Fault::Swapped, a, b},
          "the gradients of gates " + names[std::size_t(a)] + " and " + names[std::size_t(b)] + " are swapped",
          "swapping the two blocks",
          std::string("the blocks of rows are ") + (s.cell == Cell::LSTM ? "i, f, g, o" : "r, z, n"));
  return guesses;
}

}  // namespace handgrad::detail
