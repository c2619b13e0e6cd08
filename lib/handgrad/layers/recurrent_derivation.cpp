// What a recording shows of a recurrent layer: at most four steps are written out one by one, for each layer and
// direction; more of them in symbols.
#include "handgrad/layers/recurrent.hpp"

#include <algorithm>
#include <string>
#include <utility>
#include <vector>

#include "handgrad/trace/derivation.hpp"
#include "kernels/recurrent.hpp"

namespace handgrad {

using kernels::RecurrentCell;
using trace::Equation;
using trace::Why;

namespace {

std::string numbered(const std::string& name, std::size_t t) {  // h, 2 → h₂
  return name + std::vector<std::string>{"₀", "₁", "₂", "₃", "₄"}.at(t);
}

/// A formula as a whole and element by element, built side by side: `element` is its text with [n,j].
struct Formula {
  std::string whole, element;
};
Formula symbol(const std::string& name) { return {name, name + "[n,j]"}; }
Formula operator+(const Formula& a, const Formula& b) {
  if (a.whole.empty()) return b;
  return {a.whole + " + " + b.whole, a.element + " + " + b.element};
}
Formula operator*(const Formula& a, const Formula& b) { return {a.whole + "∘" + b.whole, a.element + "·" + b.element}; }
Formula call(const std::string& f, const Formula& a) { return {f + "(" + a.whole + ")", f + "(" + a.element + ")"}; }
Formula one_minus(const Formula& a) { return {"(1 − " + a.whole + ")", "(1 − " + a.element + ")"}; }
Formula squared(const Formula& a) { return {a.whole + "²", a.element + "²"}; }
/// φ′ from y: σ(1 − σ), 1 − tanh².
Formula slope(const Formula& y, bool tanh) { return tanh ? one_minus(squared(y)) : y * one_minus(y); }
/// x·Wᵀ
Formula through(const std::string& x, const std::string& k, const std::string& W) {
  return {x + "·" + W + "ᵀ", "sum(" + k + ": " + x + "[n," + k + "]·" + W + "[j," + k + "])"};
}
/// d·W, and with an r (d∘r)·W
Formula back_through(const std::string& d, const std::string& W, const std::string& r = "") {
  return {(r.empty() ? d : "(" + d + "∘" + r + ")") + "·" + W,
          "sum(k: " + d + "[n,k]·" + (r.empty() ? "" : r + "[n,k]·") + W + "[k,j])"};
}

/// One layer in one direction.
struct PassText {
  RecurrentCell cell;
  bool bias, reverse, top, all_steps;  // all_steps: δ comes to each, not to the last alone
  std::size_t steps;
  std::string mark;                // behind the names of all that belongs to it; "_l1r": layer 1, reverse
  std::vector<std::string> below;  // the marks of the passes whose states it reads; none: it reads x

  bool lstm() const { return cell == RecurrentCell::LSTM; }
  bool gru() const { return cell == RecurrentCell::GRU; }
  bool plain() const { return !lstm() && !gru(); }
  std::vector<std::string> gates() const {
    return lstm()  ? std::vector<std::string>{"i", "f", "g", "o"}
           : gru() ? std::vector<std::string>{"r", "z", "n"}
                   : std::vector<std::string>{"h"};
  }
  std::string at(const std::string& name, std::size_t t) const { return numbered(name, t) + mark; }
  /// Where the state comes from at step t, and where it goes to; 0 is the state before all, and none after.
  std::size_t before(std::size_t t) const { return reverse ? (t == steps ? 0 : t + 1) : t - 1; }
  std::size_t after(std::size_t t) const { return reverse ? t - 1 : (t == steps ? 0 : t + 1); }
  /// The steps in the order in which it makes them.
  std::vector<std::size_t> order() const {
    std::vector<std::size_t> all;
    for (std::size_t k = 1; k <= steps; ++k) all.push_back(reverse ? steps + 1 - k : k);
    return all;
  }

  /// The weights of a gate on its input; of two directions below, on each.
  std::string W(const std::string& gate, std::size_t direction = 0) const {
    return (plain() ? "Wx" : "W" + gate) + (below.size() > 1 ? (direction == 0 ? "f" : "r") : "") + mark;
  }
  std::string U(const std::string& gate) const { return (plain() ? "Wh" : "U" + gate) + mark; }
  std::string b(const std::string& gate) const { return (plain() ? "bx" : "b" + gate) + mark; }
  std::string e(const std::string& gate) const { return (plain() ? "bh" : "e" + gate) + mark; }
  /// ∂L/∂(the sum inside of a gate)
  std::string d(const std::string& gate, std::size_t t) const { return at(plain() ? "da" : "d" + gate, t); }

  Formula from_x(const std::string& gate, std::size_t t) const {
    Formula sum;
    if (below.empty()) sum = through(numbered("x", t), "i", W(gate));
    for (std::size_t k = 0; k < below.size(); ++k) sum = sum + through(numbered("h", t) + below[k], "i", W(gate, k));
    return bias ? sum + Formula{b(gate), b(gate) + "[j]"} : sum;
  }
  Formula from_h(const std::string& gate, std::size_t t) const {
    const Formula sum = through(at("h", before(t)), "k", U(gate));
    return bias ? sum + Formula{e(gate), e(gate) + "[j]"} : sum;
  }

  void forward(std::vector<Equation>& to) const {
    for (const std::size_t t : order()) {
      const auto now = [&](const std::string& name) { return symbol(at(name, t)); };
      const auto then = [&](const std::string& name) { return symbol(at(name, before(t))); };
      const auto add = [&](const std::string& name, const Formula& f, const char* why) {
        to.emplace_back(at(name, t) + " = " + f.whole, at(name, t) + "[n,j] = " + f.element, Why{why});
      };
      const auto add_gate = [&](const std::string& name, const char* f, const char* why) {
        add(name, call(f, from_x(name, t) + from_h(name, t)), why);
      };
      if (lstm()) {
        add_gate("i", "σ", "How much of what is offered is let in, between 0 and 1.");
        add_gate("f", "σ", "How much of the old cell is kept, between 0 and 1.");
        add_gate("g", "tanh", "What is offered to the cell.");
        add_gate("o", "σ", "How much of the cell is shown.");
        add("c", now("f") * then("c") + now("i") * now("g"),
            "The cell changes by adding, so that what goes back to it is only multiplied by f.");
        add("h", now("o") * call("tanh", now("c")), "What the cell shows.");
      } else if (gru()) {
        add_gate("r", "σ", "How much of the old state the new one looks at.");
        add_gate("z", "σ", "How much of the old state is kept.");
        add("q", from_h("n", t), "What the old state says to the new one.");
        add("n", call("tanh", from_x("n", t) + now("r") * now("q")), "The state that is offered.");
        add("h", one_minus(now("z")) * now("n") + now("z") * then("h"),
            "A mixture of what is offered and what was, by z.");
      } else {
        const Formula a = from_x("h", t) + from_h("h", t);
        add("h",
            cell == RecurrentCell::ReLU ? Formula{"max(" + a.whole + ", 0)", "max(" + a.element + ", 0)"}
                                        : call("tanh", a),
            "What comes in and what was kept, weighed, added and bent: the new state.");
      }
    }
  }

  /// What comes back to the states of step t, of the pass number `direction` of the layer below.
  Formula to_below(std::size_t t, std::size_t direction) const {
    Formula sum;
    for (const std::string& gate : gates()) sum = sum + back_through(d(gate, t), W(gate, direction));
    return sum;
  }
  /// What comes back to the state before step t, but for GRU's own way past the gates.
  Formula to_before(std::size_t t) const {
    Formula sum;
    for (const std::string& gate : gates())
      sum = sum + back_through(d(gate, t), U(gate), gru() && gate == "n" ? at("r", t) : "");
    return sum;
  }

  /// `from_above(t)`: what comes to h_t from outside.
  template <class F>
  void backward(std::vector<Equation>& to, F from_above) const {
    const std::vector<std::size_t> steps_made = order();
    for (auto step = steps_made.rbegin(); step != steps_made.rend(); ++step) {
      const std::size_t t = *step, next = after(t);
      const auto now = [&](const std::string& name) { return symbol(at(name, t)); };
      const auto then = [&](const std::string& name) { return symbol(at(name, before(t))); };
      const auto later = [&](const std::string& name) { return symbol(at(name, next)); };
      const auto add = [&](const std::string& name, const Formula& f, const char* why) {
        to.emplace_back(at(name, t) + " = " + f.whole, at(name, t) + "[n,j] = " + f.element, Why{why});
      };
      Formula dh = from_above(t);
      if (next) dh = dh + to_before(next);
      if (next && gru()) dh = dh + later("dh") * later("z");
      add("dh", dh,
          !next    ? "Nothing comes after this step: only what comes from outside."
          : lstm() ? "hₜ goes two ways to L: out, and into the next step's gates. Two ways, two gradients, added."
          : gru()  ? "hₜ goes out, into the next step's gates, and past them into its state: three ways, added."
                   : "hₜ goes two ways to L: out, and into the next step. Two ways, two gradients, added.");
      if (lstm()) {
        const Formula of_h = now("dh") * now("o") * one_minus(squared(call("tanh", now("c"))));
        add("dc", next ? later("dc") * later("f") + of_h : of_h,
            next ? "cₜ goes into the next c, with the factor f, and through tanh into hₜ."
                 : "cₜ goes through tanh into hₜ.");
        add("di", now("dc") * now("g") * slope(now("i"), false),
            "i stands before g in the cell; times its own slope, i(1 − i).");
        add("df", now("dc") * then("c") * slope(now("f"), false),
            "f stands before the old cell; times its own slope, f(1 − f).");
        add("dg", now("dc") * now("i") * slope(now("g"), true),
            "g stands before i in the cell; times its own slope, 1 − g².");
        add("do", now("dh") * call("tanh", now("c")) * slope(now("o"), false),
            "o stands before tanh(c) in what is shown; times its own slope, o(1 − o).");
      } else if (gru()) {
        const Formula change{"(" + then("h").whole + " − " + now("n").whole + ")",
                             "(" + then("h").element + " − " + now("n").element + ")"};
        add("dn", now("dh") * one_minus(now("z")) * slope(now("n"), true),
            "n has the share 1 − z in the state; times its own slope, 1 − n².");
        add("dz", now("dh") * change * slope(now("z"), false),
            "z moves the state from n to what was before; times its own slope, z(1 − z).");
        add("dr", now("dn") * now("q") * slope(now("r"), false),
            "r stands before q inside of n; times its own slope, r(1 − r).");
      } else {
        const Formula h = now("h");
        add("da",
            now("dh") * (cell == RecurrentCell::ReLU ? Formula{"[" + h.whole + " > 0]", "[" + h.element + " > 0]"}
                                                     : slope(h, true)),
            "Through the bend: δ times the slope, which the state itself gives.");
      }
    }
  }

  /// The parameters' gradients, over all steps. The four or three gates lie one below the other in them: in symbols.
  void gradients(std::vector<Equation>& to) const {
    const Why weights{"The same weights in every step: each adds what the state before it, or its x, makes of it."};
    const Why biases{"The same biases in every step, with the factor 1: the steps' gradients add up."};
    const std::string blocks = lstm() ? "[diₜ, dfₜ, dgₜ, doₜ]" : "[drₜ, dzₜ, dnₜ]",
                      state_blocks = lstm() ? blocks : "[drₜ, dzₜ, dnₜ∘rₜ]";
    if (!plain()) {
      if (bias) {
        to.push_back(Equation::symbols("dbh" + mark + " = Σₜₙ " + state_blocks, biases));
        to.push_back(Equation::symbols("dbx" + mark + " = Σₜₙ " + blocks, biases));
      }
      to.push_back(Equation::symbols("dWh" + mark + " = Σₜ " + state_blocks + "ᵀ·hₜ₋₁", weights));
      to.push_back(Equation::symbols("dWx" + mark + " = Σₜ " + blocks + "ᵀ·xₜ", weights));
      return;
    }
    const auto add = [&](const std::string& target, const Why& why, auto factor) {
      std::string whole, element;
      for (std::size_t t = 1; t <= steps; ++t) {
        const std::string other = factor(t), plus = t > 1 ? " + " : "";
        whole += plus + (other.empty() ? "Σₙ " + d("h", t) : d("h", t) + "ᵀ·" + other);
        element += plus + "sum(n: " + d("h", t) + "[n,j]" + (other.empty() ? ")" : "·" + other + "[n,k])");
      }
      to.emplace_back(target + " = " + whole, target + (factor(1).empty() ? "[j] = " : "[j,k] = ") + element, why);
    };
    if (bias)
      for (const char* target : {"dbh", "dbx"}) add(target + mark, biases, [](std::size_t) { return std::string(); });
    add("dWh" + mark, weights, [&](std::size_t t) { return at("h", before(t)); });
    if (below.size() < 2)
      add("dWx" + mark, weights,
          [&](std::size_t t) { return below.empty() ? numbered("x", t) : numbered("h", t) + below[0]; });
    else
      to.push_back(Equation::symbols("dWx" + mark + " = Σₜ daₜᵀ·[hₜ, hₜ]", weights));
  }

  /// The rest of a derivation that has no room for all steps.
  void in_symbols(std::vector<Equation>& to) const {
    const std::string p = plain() ? "da" : "dp", q = gru() ? "dq" : p;
    const Why weights{"The same weights in every step: each adds what the state before it, or its x, makes of it."};
    const Why biases{"The same biases in every step, with the factor 1: the steps' gradients add up."};
    if (bias) {
      to.push_back(Equation::symbols("dbh" + mark + " = Σₜₙ " + q + "ₜ", biases));
      to.push_back(Equation::symbols("dbx" + mark + " = Σₜₙ " + p + "ₜ", biases));
    }
    to.push_back(Equation::symbols("dWh" + mark + " = Σₜ " + q + "ₜᵀ·hₜ₋₁", weights));
    to.push_back(Equation::symbols("dWx" + mark + " = Σₜ " + p + "ₜᵀ·xₜ", weights));
  }
};

/// Columns of a matrix.
trace::Array columns(const trace::Array& matrix, std::size_t from, std::size_t to) {
  const std::size_t rows = matrix.shape[0], wide = matrix.shape[1];
  trace::Array part{Shape{rows, to - from}, {}};
  for (std::size_t r = 0; r < rows; ++r)
    for (std::size_t c = from; c < to; ++c) part.numbers.push_back(matrix.numbers[r * wide + c]);
  return part;
}

}  // namespace

template <class T>
trace::Derivation Recurrent<T>::derivation(const Shape&) const {
  const std::size_t steps = now_.steps, N = now_.batch, H = units_;
  const bool all_steps = options_.output == Steps::All;
  std::vector<PassText> texts;
  trace::Derivation d;
  for (std::size_t i = 0; i < passes_.size(); ++i) {
    const std::size_t layer = i / directions_;
    const auto mark = [&](std::size_t l, bool reverse) {
      return passes_.size() == 1 ? "" : "_l" + std::to_string(l) + (reverse ? "r" : "");
    };
    PassText& text = texts.emplace_back(PassText{cell_,
                                                 options_.bias,
                                                 passes_[i].reverse,
                                                 layer + 1 == layers_,
                                                 all_steps,
                                                 steps,
                                                 mark(layer, passes_[i].reverse),
                                                 {}});
    for (std::size_t k = 0; layer > 0 && k < directions_; ++k) text.below.push_back(mark(layer - 1, k > 0));
    const std::string own = "_l" + std::to_string(layer) + (text.reverse ? "_reverse" : "");
    for (const auto& [name, symbol] :
         {std::pair{"weight_ih", "Wx"}, {"weight_hh", "Wh"}, {"bias_ih", "bx"}, {"bias_hh", "bh"}})
      d.rename[name + own] = symbol + text.mark;
  }
  const bool gru = has_dq(), plain = !has_kept();
  const Why step_by_step{"The states, step by step."};
  const Why of_x{std::string("xₜ is in ") +
                 (has_c() ? "all four sums"
                  : gru   ? "all three sums"
                          : "the sum") +
                 " of its step" + (directions_ > 1 ? ", in both directions" : "") +
                 "; for the layer before, this is δ."};
  const bool dropped = !dropout_.empty() && this->is_training();
  if (steps > 4 || dropped || !traced_x_.defined() || final_gradient_.h.defined() || final_gradient_.c.defined()) {
    d.forward.push_back(Equation::symbols(
        "y = (h₁, h₂, …),  hₜ = " +
            std::string(plain ? "φ(xₜ·Wxᵀ + hₜ₋₁·Whᵀ + bx + bh)" : "cell(xₜ·Wxᵀ + bx, hₜ₋₁·Whᵀ + bh)"),
        step_by_step));
    for (auto text = texts.rbegin(); text != texts.rend(); ++text) text->in_symbols(d.backward);
    d.backward.push_back(Equation::symbols(plain ? "dx = da·Wx" : "dx = dp·Wx", of_x));
    return d;
  }

  // Besides the arguments: each step's x and δ, the first states, and each gate's rows of the parameters.
  const auto of_step = [&](const std::vector<T>& all, std::size_t width, std::size_t t, std::size_t from,
                           std::size_t to) {
    trace::Array part{Shape{N, to - from}, {}};
    for (std::size_t n = 0; n < N; ++n)
      for (std::size_t k = from; k < to; ++k)
        part.numbers.push_back(all[(options_.batch_first && now_.batched ? n * steps + t : t * N + n) * width + k]);
    return part;
  };
  const std::vector<T> x = traced_x_.to_vector(), dy = traced_dy_.defined() ? traced_dy_.to_vector() : std::vector<T>();
  for (std::size_t t = 0; t < steps; ++t)
    d.known.emplace_back(numbered("x", t + 1), of_step(x, input_size_, t, 0, input_size_));
  for (std::size_t i = 0; i < passes_.size(); ++i) {
    const Pass& pass = passes_[i];
    const PassText& text = texts[i];
    const std::size_t direction = i % directions_, width = directions_ * H;
    for (std::size_t t = 0; t < steps && text.top && !dy.empty(); ++t) {
      trace::Array delta{Shape{N, H}, std::vector<double>(N * H)};  // 0 at the steps that are not given out
      if (all_steps)
        delta = of_step(dy, width, t, direction * H, (direction + 1) * H);
      else if (text.after(t + 1) == 0)
        delta = columns({Shape{N, width}, {dy.begin(), dy.end()}}, direction * H, (direction + 1) * H);
      d.known.emplace_back(text.at("δ", t + 1), delta);
    }
    d.known.emplace_back(text.at("h", 0), trace::array(state_block(pass, pass.h, true)));
    if (has_c()) d.known.emplace_back(text.at("c", 0), trace::array(state_block(pass, pass.kept, true)));
    const std::vector<std::string> gates = text.gates();
    for (std::size_t g = 0; g < gates.size(); ++g) {
      const auto rows = [&](const Parameter<T>& of) { return trace::array(of.value().rows(g * H, (g + 1) * H)); };
      if (text.below.size() > 1)
        for (std::size_t k = 0; k < 2; ++k)
          d.known.emplace_back(text.W(gates[g], k), columns(rows(pass.weight_ih), k * H, (k + 1) * H));
      if (plain) continue;
      if (text.below.size() < 2) d.known.emplace_back(text.W(gates[g]), rows(pass.weight_ih));
      d.known.emplace_back(text.U(gates[g]), rows(pass.weight_hh));
      if (!options_.bias) continue;
      d.known.emplace_back(text.b(gates[g]), rows(pass.bias_ih));
      d.known.emplace_back(text.e(gates[g]), rows(pass.bias_hh));
    }
  }

  for (const PassText& text : texts) text.forward(d.forward);
  const auto last = std::find_if(texts.begin(), texts.end(), [](const PassText& text) { return text.top; });
  std::string out;
  for (std::size_t t = 1; t <= steps; ++t)
    for (auto text = last; text != texts.end(); ++text)
      if (all_steps || text->after(t) == 0) out += (out.empty() ? "" : ", ") + text->at("h", t);
  d.forward.push_back(Equation::symbols("y = (" + out + ")", all_steps ? step_by_step : Why{"The last states."}));
  if (dy.empty()) return d;

  for (std::size_t layer = layers_; layer-- > 0;)
    for (std::size_t k = 0; k < directions_; ++k) {
      const PassText& text = texts[layer * directions_ + k];
      text.backward(d.backward, [&](std::size_t t) {
        if (text.top) return symbol(text.at("δ", t));
        Formula sum;
        for (std::size_t u = 0; u < directions_; ++u) sum = sum + texts[(layer + 1) * directions_ + u].to_below(t, k);
        return sum;
      });
      text.gradients(d.backward);
    }
  std::string dx;
  for (std::size_t k = 0; k < directions_; ++k) {
    const PassText& text = texts[k];
    const std::string blocks = plain     ? text.d("h", 1)
                               : has_c() ? "[" + text.at("di", 1) + ", …]"
                                         : "[" + text.at("dr", 1) + ", …]";
    dx += (k > 0 ? " + " : "") + blocks + "·Wx" + text.mark;
  }
  d.backward.push_back(Equation::symbols("dx = (" + dx + ", …)", of_x));
  return d;
}

template trace::Derivation Recurrent<float>::derivation(const Shape&) const;
template trace::Derivation Recurrent<double>::derivation(const Shape&) const;

}  // namespace handgrad
