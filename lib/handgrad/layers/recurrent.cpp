#include "handgrad/layers/recurrent.hpp"

#include <cmath>

#include "handgrad/base/backend.hpp"
#include "handgrad/base/format.hpp"
#include "handgrad/base/random.hpp"
#include "handgrad/base/views.hpp"
#include "handgrad/fusion/access.hpp"
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
