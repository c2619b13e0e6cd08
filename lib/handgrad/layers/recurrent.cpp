#include "handgrad/layers/recurrent.hpp"

#include <cmath>

#include "handgrad/base/backend.hpp"
#include "handgrad/base/format.hpp"
#include "handgrad/base/random.hpp"
#include "handgrad/base/views.hpp"
#include "handgrad/fusion/access.hpp"
#include "handgrad/trace/derivation.hpp"
#include "handgrad/trace/recorder.hpp"

namespace handgrad {

using kernels::gates_of;
using kernels::RecurrentCell;

template <class T>
void Recurrent<T>::forward_into(const Tensor<T>& x, Tensor<T>& y) {
  const auto& k = backend<T>(x.device());
  begin(x);
  for (std::size_t layer = 0; layer < layers_; ++layer) {
    const bool top = layer + 1 == layers_;
    for (std::size_t d = 0; d < directions_; ++d) {
      Pass& pass = passes_[layer * directions_ + d];
      // p = x·W_ihᵀ (T·N × G·H), for all steps at once
      k.products.matmul(view::matrix(input_of(layer, x)), false, view::matrix(pass.weight_ih), true, T(0),
                        view::matrix(pass.gates));
      // h_t = cell(p_t + b_ih, W_hh·h_{t−1} + b_hh, h_{t−1}), step by step
      k.recurrent.forward(recurrence(pass), view::vector(pass.bias_ih), view::vector(pass.bias_hh),
                          step_rows(top ? y.data() : between_[layer].data(), layer, d));
    }
    if (!top && !dropout_.empty()) dropout_[layer]->forward(between_[layer]);
  }
  final_.h.reserve(state_shape(), x.device());
  if (has_c()) final_.c.reserve(state_shape(), x.device());
  for (std::size_t i = 0; i < passes_.size(); ++i) {
    const Shape block{1, now_.batch, units_}, all{passes_.size(), now_.batch, units_};
    final_.h.reshape(all).rows(i, i + 1).copy_from(state_block(passes_[i], passes_[i].h, false).reshape(block));
    if (has_c())
      final_.c.reshape(all).rows(i, i + 1).copy_from(state_block(passes_[i], passes_[i].kept, false).reshape(block));
  }
}

template <class T>
void Recurrent<T>::backward_into(const Tensor<T>& x, const Tensor<T>&, const Tensor<T>& dy, Tensor<T>& dx) {
  const auto& k = backend<T>(x.device());
  if (trace::recorder()) traced_dy_ = dy.clone();
  if (exchanged() && this->requires_input_grad())
    dx_by_time_.reserve({now_.steps, now_.batch, input_size_}, x.device());
  const Shape block{1, now_.batch, units_}, all{passes_.size(), now_.batch, units_};
  for (std::size_t layer = layers_; layer-- > 0;) {
    const bool top = layer + 1 == layers_;
    const Tensor<T>& in = input_of(layer, x);
    Tensor<T>& din = layer > 0 ? dbetween_[layer - 1] : exchanged() ? dx_by_time_ : dx;
    // δ of this layer's output, through the dropout above it
    const Tensor<T>& delta = top                ? dy
                             : dropout_.empty() ? dbetween_[layer]
                                                : dropout_[layer]->backward(dbetween_[layer]);
    for (std::size_t d = 0; d < directions_; ++d) {
      const std::size_t i = layer * directions_ + d;
      Pass& pass = passes_[i];
      const auto last = [&](Tensor<T>& gradient, const Tensor<T>& given) {  // ∂L/∂h_n, ∂L/∂c_n, or 0
        gradient.reserve(block, x.device());
        given.defined() ? gradient.copy_from(given.reshape(all).rows(i, i + 1)) : gradient.fill(0);
      };
      last(pass.dh, final_gradient_.h);
      if (has_c()) last(pass.dc, final_gradient_.c);
      pass.dp.reserve(pass.gates.shape(), x.device());
      if (has_dq()) pass.dq.reserve(pass.gates.shape(), x.device());
      // ∂L/∂h_t = δ_t + the gradient from step t+1; through the cell: dp_t, dq_t and ∂L/∂h_{t−1}, from the last step to
      // the first
      k.recurrent.backward(recurrence(pass), step_rows(delta.data(), layer, d), given_, pass.dh.data(), pass.dc.data(),
                           pass.dp.data(), pass.dq.data());
      const Tensor<T>&dq = has_dq() ? pass.dq : pass.dp,
            before =
                pass.h.rows(pass.reverse ? now_.batch : 0, pass.reverse ? pass.h.size(0) : pass.h.size(0) - now_.batch);
      // dW_ih = dpᵀ·x,  db_ih = Σ dp;  dW_hh = dqᵀ·h₋,  db_hh = Σ dq: over all steps at once
      const kernels::Gradient<T> db_ih = view::gradient(pass.bias_ih), db_hh = view::gradient(pass.bias_hh);
      const bool same_sum = !has_dq() && db_ih && db_hh && db_ih.beta == T(0) && db_hh.beta == T(0);
      if (pass.weight_ih.requires_grad() || db_ih)
        k.linear.backward_parameters(view::matrix(in), view::matrix(std::as_const(pass.dp)),
                                     view::gradient(pass.weight_ih), db_ih);
      if (pass.weight_hh.requires_grad() || db_hh)
        k.linear.backward_parameters(view::matrix(before), view::matrix(dq), view::gradient(pass.weight_hh),
                                     same_sum ? kernels::Gradient<T>() : db_hh);
      if (same_sum) memory(x.device()).copy(db_hh.data, db_ih.data, pass.bias_hh.numel() * sizeof(T));
      // dx = dp·W_ih; both directions read x: their gradients add
      if (layer > 0 || this->requires_input_grad())
        k.products.matmul(view::matrix(std::as_const(pass.dp)), false, view::matrix(pass.weight_ih), false,
                          T(d > 0 ? 1 : 0), view::matrix(din));
      if (given_) {
        initial_gradient_.h.reshape(all).rows(i, i + 1).copy_from(pass.dh);
        if (has_c()) initial_gradient_.c.reshape(all).rows(i, i + 1).copy_from(pass.dc);
      }
    }
  }
  if (exchanged() && this->requires_input_grad())
    k.recurrent.exchange(dx_by_time_.data(), now_.steps, now_.batch, input_size_, dx.data());
}

// Sizes all buffers of a step and sets the initial state.
template <class T>
void Recurrent<T>::begin(const Tensor<T>& x) {
  now_ = sizes(x.shape());
  traced_x_ = trace::recorder() ? x.clone() : Tensor<T>();
  given_ = initial_.h.defined() || initial_.c.defined();
  const bool carried = !given_ && carries_ && final_.h.defined();
  const State& from = given_ ? initial_ : final_;
  if (given_) check_state(initial_, "0");
  if (carried && !(final_.h.shape() == state_shape()))
    throw ShapeError(this->label() + ": the state carried over has shape " + final_.h.shape().str() + ", " +
                     state_shape().str() + " expected for this input; reset_state() begins anew");
  const std::size_t T_ = now_.steps, N = now_.batch, G = gates_of(cell_);
  const Shape all{passes_.size(), N, units_};
  for (std::size_t i = 0; i < passes_.size(); ++i) {
    Pass& pass = passes_[i];
    pass.gates.reserve({T_ * N, G * units_}, x.device());
    pass.work.reserve({N, G * units_}, x.device());
    pass.h.reserve({(T_ + 1) * N, units_}, x.device());
    if (has_kept()) pass.kept.reserve({(T_ + 1) * N, units_}, x.device());
    const auto first = [&](const Tensor<T>& states, const Tensor<T>& value) {
      Tensor<T> at = state_block(pass, states, true);
      if (given_ || carried)
        at.copy_from(value.reshape(all).rows(i, i + 1).reshape({N, units_}));
      else
        at.fill(0);
    };
    first(pass.h, from.h);
    if (has_c()) first(pass.kept, from.c);
  }
  if (given_) {
    initial_gradient_.h.reserve(state_shape(), x.device());
    if (has_c()) initial_gradient_.c.reserve(state_shape(), x.device());
  } else {
    initial_gradient_ = State();
  }
  for (std::size_t layer = 0; layer + 1 < layers_; ++layer) {
    if (!dropout_.empty()) fusion::Access<T>(*dropout_[layer]).release_input();
    between_[layer].reserve({T_, N, directions_ * units_}, x.device());
    dbetween_[layer].reserve({T_, N, directions_ * units_}, x.device());
  }
  if (!exchanged()) return;
  x_by_time_.reserve({T_, N, input_size_}, x.device());
  backend<T>(x.device()).recurrent.exchange(x.data(), N, T_, input_size_, x_by_time_.data());
}

template <class T>
const Tensor<T>& Recurrent<T>::input_of(std::size_t layer, const Tensor<T>& x) const {
  if (layer == 0) return exchanged() ? x_by_time_ : x;
  if (dropout_.empty()) return between_[layer - 1];
  return fusion::Access<T>(*dropout_[layer - 1]).y;
}

template <class T>
template <class U>
kernels::StepRows<U> Recurrent<T>::step_rows(U* rows, std::size_t layer, std::size_t direction) const {
  const std::size_t width = directions_ * units_;
  U* first = rows + direction * units_;
  if (layer + 1 < layers_) return {first, now_.batch * width, width, false};
  if (options_.output == Steps::Last) return {first, 0, width, true};
  return options_.batch_first ? kernels::StepRows<U>{first, width, now_.steps * width, false}
                              : kernels::StepRows<U>{first, now_.batch * width, width, false};
}

template <class T>
kernels::Recurrence<T> Recurrent<T>::recurrence(const Pass& pass) const {
  // The const_cast is safe: a backward writes to `work` only.
  const auto address = [](const Tensor<T>& x) { return const_cast<T*>(x.data()); };
  return {cell_,
          pass.reverse,
          now_.steps,
          now_.batch,
          units_,
          pass.weight_hh.value().data(),
          address(pass.gates),
          address(pass.h),
          address(pass.kept),
          address(pass.work)};
}

// The N rows of a state before the first step or after the last.
template <class T>
Tensor<T> Recurrent<T>::state_block(const Pass& pass, const Tensor<T>& of, bool first) const {
  const std::size_t row = first == pass.reverse ? now_.steps * now_.batch : 0;
  return of.rows(row, row + now_.batch);
}

template <class T>
typename Recurrent<T>::Sizes Recurrent<T>::sizes(const Shape& x) const {
  if (x.rank() == 2) return {x[0], 1, false};
  return options_.batch_first ? Sizes{x[1], x[0], true} : Sizes{x[0], x[1], true};
}

template <class T>
Shape Recurrent<T>::state_shape() const {
  return now_.batched ? Shape{passes_.size(), now_.batch, units_} : Shape{passes_.size(), units_};
}

template <class T>
Shape Recurrent<T>::output_shape(const Shape& input) const {
  const bool fits = (input.rank() == 2 || input.rank() == 3) && input.columns() == input_size_;
  if (!fits)
    throw ShapeError("an input of shape " + std::string(options_.batch_first ? "(N, T, " : "(T, N, ") +
                     std::to_string(input_size_) + "), or (T, " + std::to_string(input_size_) +
                     ") for one sequence, expected, one of shape " + input.str() + " came");
  const Sizes size = sizes(input);
  const std::size_t width = directions_ * units_;
  if (options_.output == Steps::Last) return size.batched ? Shape{size.batch, width} : Shape{width};
  Shape output = input;
  output[-1] = width;
  return output;
}

template <class T>
void Recurrent<T>::check_state(const State& state, const char* what) const {
  const auto check = [&](const Tensor<T>& value, const char* name, bool wanted) {
    const std::string called = this->label() + ": " + name + what;
    if (value.defined() != wanted)
      throw StateError(called + (wanted ? " is missing: a state has h and c" : " came; only an LSTM has a c"));
    if (!wanted) return;
    if (!(value.shape() == state_shape()))
      throw ShapeError(called + " of shape " + state_shape().str() + " expected (layers·directions, " +
                       (now_.batched ? "batch, " : "") + "hidden), one of shape " + value.shape().str() + " came");
    if (value.device() != passes_[0].gates.device() && passes_[0].gates.defined() &&
        value.device() != passes_[0].weight_hh.value().device())
      throw DeviceError(called + " is on " + value.device().str() + ", the parameters are on " +
                        passes_[0].weight_hh.value().device().str());
  };
  check(state.h, "h", true);
  check(state.c, "c", has_c());
}

template <class T>
const Tensor<T>& Recurrent<T>::forward(const Tensor<T>& x, const State& initial) {
  struct Restore {
    State &place, before;
    ~Restore() { place = before; }
  } restore{initial_, initial_};
  initial_ = initial;
  return Layer<T>::forward(x);
}

template <class T>
const Tensor<T>& Recurrent<T>::backward(const Tensor<T>& dy, const State& final_gradient) {
  const auto check = [&](const Tensor<T>& value, const char* name, bool there) {
    if (!value.defined()) return;
    if (!there) throw StateError(this->label() + ": a gradient of " + name + " came; only an LSTM has a c");
    if (!final_.h.defined()) throw StateError(this->label() + ": backward before any forward");
    if (!(value.shape() == final_.h.shape()))
      throw ShapeError(this->label() + ": the gradient of " + name + " of shape " + final_.h.shape().str() +
                       " expected, one of shape " + value.shape().str() + " came");
  };
  check(final_gradient.h, "h_n", true);
  check(final_gradient.c, "c_n", has_c());
  struct Restore {
    State &place, before;
    ~Restore() { place = before; }
  } restore{final_gradient_, final_gradient_};
  final_gradient_ = final_gradient;
  return Layer<T>::backward(dy);
}

template <class T>
std::vector<SideTensor<T>> Recurrent<T>::side_inputs() {
  if (!initial_.h.defined()) return {};
  std::vector<SideTensor<T>> sides{{"h0", initial_.h, &initial_gradient_.h}};
  if (has_c()) sides.push_back({"c0", initial_.c, &initial_gradient_.c});
  return sides;
}

template <class T>
std::vector<SideTensor<T>> Recurrent<T>::side_outputs() {
  if (!initial_.h.defined()) return {};
  std::vector<SideTensor<T>> sides{{"h_n", final_.h, &final_gradient_.h}};
  if (has_c()) sides.push_back({"c_n", final_.c, &final_gradient_.c});
  return sides;
}

template <class T>
Recurrent<T>::Recurrent(RecurrentCell cell, std::size_t input_size, std::size_t hidden_size,
                        const RecurrentOptions& options)
    : cell_(cell),
      input_size_(input_size),
      units_(hidden_size),
      layers_(options.num_layers),
      directions_(options.bidirectional ? 2 : 1),
      options_(options) {
  const char* called = cell == RecurrentCell::LSTM ? "LSTM" : cell == RecurrentCell::GRU ? "GRU" : "RNN";
  if (input_size == 0 || hidden_size == 0 || layers_ == 0)
    throw ValueError(std::string(called) + "(" + std::to_string(input_size) + " → " + std::to_string(hidden_size) +
                     ", " + std::to_string(layers_) + " layers): at least one of each expected");
  if (!(options.dropout >= 0 && options.dropout <= 1))
    throw ValueError(std::string(called) + ": dropout = " + format_number(options.dropout) +
                     ", a probability in [0, 1] expected");
  const double bound = 1 / std::sqrt(static_cast<double>(units_));
  const std::size_t rows = gates_of(cell) * units_;
  for (std::size_t layer = 0; layer < layers_; ++layer)
    for (std::size_t d = 0; d < directions_; ++d) {
      Pass& pass = passes_.emplace_back();
      pass.reverse = d > 0;
      const auto draw = [&](const char* what, const Shape& shape) {
        Tensor<T> values = Tensor<T>::empty(shape);
        return this->register_parameter(what + std::string("_l") + std::to_string(layer) + (d > 0 ? "_reverse" : ""),
                                        uniform_(values, -bound, bound));
      };
      pass.weight_ih = draw("weight_ih", {rows, layer == 0 ? input_size : directions_ * units_});
      pass.weight_hh = draw("weight_hh", {rows, units_});
      if (!options.bias) continue;
      pass.bias_ih = draw("bias_ih", {rows});
      pass.bias_hh = draw("bias_hh", {rows});
    }
  between_.resize(layers_ - 1);
  dbetween_.resize(layers_ - 1);
  if (options.dropout == 0) return;
  for (std::size_t layer = 0; layer + 1 < layers_; ++layer) {
    dropout_.push_back(std::make_shared<Dropout<T>>(options.dropout));
    this->register_child("dropout_l" + std::to_string(layer), dropout_.back());
  }
}

template <class T>
typename Recurrent<T>::Pass& Recurrent<T>::pass(std::size_t layer, bool reverse) {
  if (layer >= layers_ || (reverse && directions_ == 1))
    throw ValueError(this->label() + ": there are " + std::to_string(layers_) + " layers and " +
                     std::to_string(directions_) + " directions");
  return passes_[layer * directions_ + (reverse ? 1 : 0)];
}

template <class T>
bool Recurrent<T>::has_c() const {
  return cell_ == RecurrentCell::LSTM;
}
template <class T>
bool Recurrent<T>::has_kept() const {
  return cell_ == RecurrentCell::LSTM || cell_ == RecurrentCell::GRU;
}
template <class T>
bool Recurrent<T>::has_dq() const {
  return cell_ == RecurrentCell::GRU;
}

template <class T>
void Recurrent<T>::kink_sides(const Tensor<T>&, std::vector<bool>& sides) const {
  if (cell_ != RecurrentCell::ReLU) return;
  for (const Pass& pass : passes_)
    for (const T h : pass.gates.to_vector()) sides.push_back(h > 0);
}

template <class T>
std::string Recurrent<T>::extra_repr() const {
  std::string text = std::to_string(input_size_) + ", " + std::to_string(units_);
  if (layers_ != 1) text += ", num_layers=" + std::to_string(layers_);
  if (!options_.bias) text += ", bias=False";
  if (options_.batch_first) text += ", batch_first=True";
  if (options_.dropout != 0) text += ", dropout=" + format_number(options_.dropout);
  if (options_.bidirectional) text += ", bidirectional=True";
  return text;
}

template <class T>
std::string Recurrent<T>::label() const {
  return this->name() + "(" + std::to_string(input_size_) + " → " + std::to_string(directions_ * units_) + ")";
}

namespace {

std::string numbered(const std::string& name, std::size_t t) {  // h, 2 → h₂
  return name + std::vector<std::string>{"₀", "₁", "₂", "₃", "₄"}.at(t);
}
std::string sum_of(const std::vector<std::string>& terms) {
  std::string sum;
  for (const std::string& term : terms) sum += (sum.empty() ? "" : " + ") + term;
  return sum;
}

/// A formula as a whole and element by element, built side by side: `element` is its text with [n,j].
struct Formula {
  std::string whole, element;
};
Formula symbol(const std::string& name) { return {name, name + "[n,j]"}; }
Formula operator+(const Formula& a, const Formula& b) {
  return {a.whole + " + " + b.whole, a.element + " + " + b.element};
}
Formula operator*(const Formula& a, const Formula& b) { return {a.whole + "∘" + b.whole, a.element + "·" + b.element}; }
Formula call(const std::string& f, const Formula& a) { return {f + "(" + a.whole + ")", f + "(" + a.element + ")"}; }
Formula one_minus(const Formula& a) { return {"(1 − " + a.whole + ")", "(1 − " + a.element + ")"}; }
Formula squared(const Formula& a) { return {a.whole + "²", a.element + "²"}; }
/// φ′ from y: σ(1 − σ), 1 − tanh².
Formula slope(const Formula& y, bool tanh) { return tanh ? one_minus(squared(y)) : y * one_minus(y); }
trace::Equation equation(const std::string& target, const Formula& f) {
  return {target + " = " + f.whole, target + "[n,j] = " + f.element};
}

}  // namespace

// One pass over at most four steps is written out step by step, a longer one in symbols; several passes not at all.
template <class T>
trace::Derivation Recurrent<T>::derivation(const Shape&) const {
  if (passes_.size() > 1) return {};
  trace::Derivation d{
      .rename = {{"weight_ih_l0", "Wx"}, {"weight_hh_l0", "Wh"}, {"bias_ih_l0", "bx"}, {"bias_hh_l0", "bh"}}};
  const std::size_t last = now_.steps, N = now_.batch, H = units_;
  const bool lstm = has_c(), gru = has_dq(), plain = !lstm && !gru, relu = cell_ == RecurrentCell::ReLU;
  const std::string p = plain ? "da" : "dp", q = gru ? "dq" : p;
  if (last > 4 || !traced_x_.defined() || final_gradient_.h.defined() || final_gradient_.c.defined()) {
    d.forward.push_back(
        trace::Equation::symbols("y = (h₁, h₂, …),  hₜ = " + std::string(plain ? "φ(xₜ·Wxᵀ + hₜ₋₁·Whᵀ + bx + bh)"
                                                                               : "cell(xₜ·Wxᵀ + bx, hₜ₋₁·Whᵀ + bh)")));
    std::vector<std::string> sums{"dWh = Σₜ " + q + "ₜᵀ·hₜ₋₁", "dWx = Σₜ " + p + "ₜᵀ·xₜ", "dx = " + p + "·Wx"};
    if (options_.bias) sums.insert(sums.begin(), {"dbh = Σₜₙ " + q + "ₜ", "dbx = Σₜₙ " + p + "ₜ"});
    for (const std::string& sum : sums) d.backward.push_back(trace::Equation::symbols(sum));
    return d;
  }

  // Besides the arguments: each step's x and δ, the first state, and each gate's rows of the parameters.
  const Pass& pass = passes_[0];
  const auto of_step = [&](const std::vector<T>& all, std::size_t width, std::size_t t) {
    trace::Array part{Shape{N, width}, {}};
    for (std::size_t n = 0; n < N; ++n)
      for (std::size_t k = 0; k < width; ++k)
        part.numbers.push_back(all[(options_.batch_first && now_.batched ? n * last + t : t * N + n) * width + k]);
    return part;
  };
  const std::vector<T> x = traced_x_.to_vector(), dy = traced_dy_.defined() ? traced_dy_.to_vector() : std::vector<T>();
  for (std::size_t t = 0; t < last; ++t) {
    d.known.emplace_back(numbered("x", t + 1), of_step(x, input_size_, t));
    if (dy.empty()) continue;
    const bool all = options_.output == Steps::All;
    std::vector<double> only(N * H);
    if (!all && t + 1 == last) only.assign(dy.begin(), dy.end());
    d.known.emplace_back(numbered("δ", t + 1), all ? of_step(dy, H, t) : trace::Array{Shape{N, H}, only});
  }
  d.known.emplace_back("h₀", trace::array(state_block(pass, pass.h, true)));
  if (lstm) d.known.emplace_back("c₀", trace::array(state_block(pass, pass.kept, true)));
  const std::vector<std::string> gates = lstm  ? std::vector<std::string>{"i", "f", "g", "o"}
                                         : gru ? std::vector<std::string>{"r", "z", "n"}
                                               : std::vector<std::string>{"h"};
  struct Rows {
    std::string W, U, b, e;
  };
  const auto rows = [&](const std::string& gate) {
    return plain ? Rows{"Wx", "Wh", "bx", "bh"} : Rows{"W" + gate, "U" + gate, "b" + gate, "e" + gate};
  };
  for (std::size_t g = 0; g < gates.size() && !plain; ++g) {
    const Rows own = rows(gates[g]);
    for (const auto& [name, of] : {std::pair{own.W, pass.weight_ih}, std::pair{own.U, pass.weight_hh},
                                   std::pair{own.b, pass.bias_ih}, std::pair{own.e, pass.bias_hh}})
      if (of.defined()) d.known.emplace_back(name, trace::array(of.value().rows(g * H, (g + 1) * H)));
  }

  for (std::size_t t = 1; t <= last; ++t) {
    const auto at = [&](const std::string& name) { return symbol(numbered(name, t)); };
    const auto before = [&](const std::string& name) { return symbol(numbered(name, t - 1)); };
    const auto linear = [&](const std::string& in, const std::string& k, const std::string& W, const std::string& b) {
      Formula sum{in + "·" + W + "ᵀ", "sum(" + k + ": " + in + "[n," + k + "]·" + W + "[j," + k + "])"};
      if (options_.bias) sum = sum + Formula{b, b + "[j]"};
      return sum;
    };
    const auto from_x = [&](const std::string& gate) {
      return linear(numbered("x", t), "i", rows(gate).W, rows(gate).b);
    };
    const auto from_h = [&](const std::string& gate) {
      return linear(numbered("h", t - 1), "k", rows(gate).U, rows(gate).e);
    };
    const auto add = [&](const std::string& name, const Formula& f) {
      d.forward.push_back(equation(numbered(name, t), f));
    };
    if (lstm) {
      for (const std::string& gate : gates) add(gate, call(gate == "g" ? "tanh" : "σ", from_x(gate) + from_h(gate)));
      add("c", at("f") * before("c") + at("i") * at("g"));
      add("h", at("o") * call("tanh", at("c")));
    } else if (gru) {
      for (const char* gate : {"r", "z"}) add(gate, call("σ", from_x(gate) + from_h(gate)));
      add("q", from_h("n"));
      add("n", call("tanh", from_x("n") + at("r") * at("q")));
      add("h", one_minus(at("z")) * at("n") + at("z") * before("h"));
    } else {
      const Formula a = from_x("h") + from_h("h");
      add("h", relu ? Formula{"max(" + a.whole + ", 0)", "max(" + a.element + ", 0)"} : call("tanh", a));
    }
  }
  std::string list;
  for (std::size_t t = 1; t <= last; ++t) list += (t > 1 ? ", " : "") + numbered("h", t);
  d.forward.push_back(
      trace::Equation::symbols("y = " + (options_.output == Steps::Last ? numbered("h", last) : "(" + list + ")")));
  if (dy.empty()) return d;

  for (std::size_t t = last; t > 0; --t) {
    const auto at = [&](const std::string& name) { return symbol(numbered(name, t)); };
    const auto before = [&](const std::string& name) { return symbol(numbered(name, t - 1)); };
    const auto after = [&](const std::string& name) { return symbol(numbered(name, t + 1)); };
    const auto add = [&](const std::string& name, const Formula& f) {
      d.backward.push_back(equation(numbered(name, t), f));
    };
    // ∂L/∂h_t: from above and from step t+1
    Formula dh = at("δ");
    for (const std::string& gate : gates) {
      if (t == last) break;
      const std::string da = numbered(plain ? "da" : "d" + gate, t + 1), U = rows(gate).U, r = numbered("r", t + 1);
      const bool reset = gru && gate == "n";
      dh = dh + Formula{(reset ? "(" + da + "∘" + r + ")" : da) + "·" + U,
                        "sum(k: " + da + "[n,k]·" + (reset ? r + "[n,k]·" : "") + U + "[k,j])"};
    }
    if (gru && t < last) dh = dh + after("dh") * after("z");
    add("dh", dh);
    if (lstm) {
      const Formula of_h = at("dh") * at("o") * one_minus(squared(call("tanh", at("c"))));
      add("dc", t < last ? after("dc") * after("f") + of_h : of_h);
      add("di", at("dc") * at("g") * slope(at("i"), false));
      add("df", at("dc") * before("c") * slope(at("f"), false));
      add("dg", at("dc") * at("i") * slope(at("g"), true));
      add("do", at("dh") * call("tanh", at("c")) * slope(at("o"), false));
    } else if (gru) {
      const Formula change{"(" + before("h").whole + " − " + at("n").whole + ")",
                           "(" + before("h").element + " − " + at("n").element + ")"};
      add("dn", at("dh") * one_minus(at("z")) * slope(at("n"), true));
      add("dz", at("dh") * change * slope(at("z"), false));
      add("dr", at("dn") * at("q") * slope(at("r"), false));
    } else {
      add("da", at("dh") * (relu ? Formula{"[" + at("h").whole + " > 0]", "[" + at("h").element + " > 0]"}
                                 : slope(at("h"), true)));
    }
  }
  // The parameters' gradients, over all steps; by gates (blocks of rows) only in symbols.
  const auto gradient = [&](const std::string& target, const std::string& factor, bool of_state) {
    std::vector<std::string> elements, wholes;
    for (std::size_t t = 1; t <= last; ++t) {
      const std::string da = numbered("da", t), other = factor.empty() ? "" : numbered(factor, of_state ? t - 1 : t);
      elements.push_back("sum(n: " + da + "[n,j]" + (factor.empty() ? "" : "·" + other + "[n,k]") + ")");
      wholes.push_back(factor.empty() ? "Σₙ " + da : da + "ᵀ·" + other);
    }
    if (plain) {
      d.backward.emplace_back(target + " = " + sum_of(wholes),
                              target + (factor.empty() ? "[j]" : "[j,k]") + " = " + sum_of(elements));
      return;
    }
    const std::string blocks = lstm ? "[diₜ, dfₜ, dgₜ, doₜ]" : of_state ? "[drₜ, dzₜ, dnₜ∘rₜ]" : "[drₜ, dzₜ, dnₜ]";
    d.backward.push_back(trace::Equation::symbols(
        target + " = " + (factor.empty() ? "Σₜₙ " + blocks : "Σₜ " + blocks + (of_state ? "ᵀ·hₜ₋₁" : "ᵀ·xₜ"))));
  };
  if (options_.bias) {
    gradient("dbh", "", true);
    gradient("dbx", "", false);
  }
  gradient("dWh", "h", true);
  gradient("dWx", "x", false);
  d.backward.push_back(trace::Equation::symbols(plain  ? "dx = (da₁·Wx, …)"
                                                : lstm ? "dx = ([di₁, df₁, dg₁, do₁]·Wx, …)"
                                                       : "dx = ([dr₁, dz₁, dn₁]·Wx, …)"));
  return d;
}

namespace {

RecurrentCell elman(const std::string& nonlinearity) {
  if (nonlinearity == "tanh") return RecurrentCell::Tanh;
  if (nonlinearity == "relu") return RecurrentCell::ReLU;
  throw ValueError("RNN: nonlinearity 'tanh' or 'relu' expected, '" + nonlinearity + "' came");
}

}  // namespace

template <class T>
RNN<T>::RNN(std::size_t input_size, std::size_t hidden_size, const RNNOptions& o)
    : Recurrent<T>(elman(o.nonlinearity), input_size, hidden_size,
                   {o.num_layers, o.bias, o.batch_first, o.dropout, o.bidirectional, o.output}) {}
template <class T>
LSTM<T>::LSTM(std::size_t input_size, std::size_t hidden_size, const RecurrentOptions& options)
    : Recurrent<T>(RecurrentCell::LSTM, input_size, hidden_size, options) {}
template <class T>
GRU<T>::GRU(std::size_t input_size, std::size_t hidden_size, const RecurrentOptions& options)
    : Recurrent<T>(RecurrentCell::GRU, input_size, hidden_size, options) {}

template class Recurrent<float>;
template class Recurrent<double>;
template class RNN<float>;
template class RNN<double>;
template class LSTM<float>;
template class LSTM<double>;
template class GRU<float>;
template class GRU<double>;

}  // namespace handgrad
