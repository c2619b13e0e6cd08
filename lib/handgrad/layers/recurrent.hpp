#pragma once
#include <string>
#include <vector>

#include "handgrad/contract/layer.hpp"
#include "handgrad/layers/dropout.hpp"

namespace handgrad {

namespace kernels {
enum class RecurrentCell;
template <class T>
struct Recurrence;
template <class T>
struct StepRows;
}  // namespace kernels

/// A recurrent layer's output for a sequence: h of every step, or of the last one.
enum class Steps { All, Last };

struct RecurrentOptions {
  std::size_t num_layers = 1;  ///< stacked: each reads the output of the one below
  bool bias = true;
  bool batch_first = false;    ///< x (N, T, in), y (N, T, out)
  double dropout = 0;          ///< between layers, in training
  bool bidirectional = false;  ///< a second pass from the last step to the first; y holds both, side by side
  Steps output = Steps::All;   ///< Last: y (N, out), the final h of each pass; not in torch
};
struct RNNOptions {
  std::size_t num_layers = 1;
  std::string nonlinearity = "tanh";  ///< or "relu"
  bool bias = true;
  bool batch_first = false;
  double dropout = 0;
  bool bidirectional = false;
  Steps output = Steps::All;
};

/// h and, for an LSTM, c, of all layers and directions: (layers·directions, N, H), without N if x has no batch.
template <class T>
struct RecurrentState {
  Tensor<T> h, c;
};

/// The common part of RNN, LSTM and GRU: x (T, N, in), or (T, in) without a batch, passes through the same cell step by
/// step; each step passes its state on to the next:
///     p_t = W_ih·x_t + b_ih,  q_t = W_hh·h_{t−1} + b_hh,  h_t = cell(p_t, q_t, h_{t−1})
/// with h₀ = 0 unless a state is given. y (T, N, H·directions) is the last layer's h.
///
/// Backpropagation through time. h_t is used twice, in y_t and in the next step, so two gradients add:
///     ∂L/∂h_t = δ_t + (∂h_{t+1}/∂h_t)ᵀ·∂L/∂h_{t+1}
/// From the last step to the first, the cell's derivative gives dp_t and dq_t, and q_t = W_hh·h_{t−1} + b_hh passes on
///     ∂L/∂h_{t−1} = dq_t·W_hh + …, which at the first step is ∂L/∂h₀.
/// W and b are the same in all steps, so their gradients add. With all T·N rows in one matrix, each is one product:
///     dW_ih = dpᵀ·x,  dW_hh = dqᵀ·h₋,  db_ih = Σ dp,  db_hh = Σ dq,  dx = dp·W_ih        (h₋: the states before)
///
/// Truncated backpropagation: a long sequence is cut into pieces, and `carry_state()` starts each forward in the state
/// in which the previous one ended. A backward stops at the beginning of its piece (torch's `h.detach()`).
///
///     LSTM lstm(32, 128);
///     lstm.carry_state();
///     for (const auto& piece : pieces) { lstm.forward(piece); …; lstm.backward(dy); step(); }
///     lstm.reset_state();                                       // before another text
template <class T>
class Recurrent : public Layer<T> {
 public:
  /// h, and for an LSTM c.
  using State = RecurrentState<T>;
  using Layer<T>::forward;
  using Layer<T>::backward;

  /// y, starting from this state. Throws ShapeError for a state of another shape.
  const Tensor<T>& forward(const Tensor<T>& x, const State& initial);
  /// The state after the last forward, of all layers and directions.
  const State& final_state() const { return final_; }
  /// Also takes the gradients of the final state, ∂L/∂h_n and ∂L/∂c_n; either may be undefined.
  const Tensor<T>& backward(const Tensor<T>& dy, const State& final_gradient);
  /// ∂L/∂h₀ and ∂L/∂c₀, after the backward of a forward whose state was given.
  const State& initial_gradient() const { return initial_gradient_; }

  /// Every forward from now on starts from this state, whose elements are not copied.
  void set_state(const State& initial) { initial_ = initial; }
  /// Every forward from now on starts from the previous one's final state, to which no gradient goes back.
  void carry_state(bool on = true) { carries_ = on; }
  /// The next forward starts from zeros.
  void reset_state() { initial_ = final_ = State(); }

  std::size_t input_size() const { return input_size_; }
  std::size_t hidden_size() const { return units_; }
  std::size_t num_layers() const { return layers_; }
  /// 2 where it is bidirectional.
  std::size_t num_directions() const { return directions_; }
  const RecurrentOptions& options() const { return options_; }
  kernels::RecurrentCell cell() const { return cell_; }
  /// The parameter of a layer and direction: weight_ih(1, true) is `weight_ih_l1_reverse`. Throws ValueError.
  Parameter<T>& weight_ih(std::size_t layer = 0, bool reverse = false) { return pass(layer, reverse).weight_ih; }
  Parameter<T>& weight_hh(std::size_t layer = 0, bool reverse = false) { return pass(layer, reverse).weight_hh; }
  Parameter<T>& bias_ih(std::size_t layer = 0, bool reverse = false) { return pass(layer, reverse).bias_ih; }
  Parameter<T>& bias_hh(std::size_t layer = 0, bool reverse = false) { return pass(layer, reverse).bias_hh; }

  std::string extra_repr() const override;
  std::string label() const override;
  Shape output_shape(const Shape& input) const override;
  trace::Derivation derivation(const Shape& input) const override;
  std::vector<SideTensor<T>> side_inputs() override;
  std::vector<SideTensor<T>> side_outputs() override;

 protected:
  Recurrent(kernels::RecurrentCell cell, std::size_t input_size, std::size_t hidden_size,
            const RecurrentOptions& options);
  void forward_into(const Tensor<T>& x, Tensor<T>& y) override;
  void backward_into(const Tensor<T>& x, const Tensor<T>& y, const Tensor<T>& dy, Tensor<T>& dx) override;
  void kink_sides(const Tensor<T>& x, std::vector<bool>& sides) const override;

 private:
  /// One layer in one direction: its parameters, and its values at all steps.
  struct Pass {
    bool reverse = false;
    Parameter<T> weight_ih, weight_hh, bias_ih, bias_hh;
    Tensor<T> gates, h, kept, work;  // kernels/recurrent.hpp
    Tensor<T> dp, dq, dh, dc;
  };
  struct Sizes {
    std::size_t steps, batch;
    bool batched;
  };
  Sizes sizes(const Shape& x) const;
  Pass& pass(std::size_t layer, bool reverse);
  kernels::Recurrence<T> recurrence(const Pass& pass) const;
  Tensor<T> state_block(const Pass& pass, const Tensor<T>& of, bool first) const;
  /// Where the h of each step of a pass is, in y or between two layers.
  template <class U>
  kernels::StepRows<U> step_rows(U* rows, std::size_t layer, std::size_t direction) const;
  /// A layer's input: x with time as its first dimension, or the output of the layer below.
  const Tensor<T>& input_of(std::size_t layer, const Tensor<T>& x) const;
  bool exchanged() const { return options_.batch_first && now_.batch > 1 && now_.steps > 1; }
  Shape state_shape() const;
  void begin(const Tensor<T>& x);
  void check_state(const State& state, const char* what) const;
  bool has_c() const;
  bool has_kept() const;
  bool has_dq() const;

  kernels::RecurrentCell cell_;
  std::size_t input_size_, units_, layers_, directions_;
  RecurrentOptions options_;
  std::vector<Pass> passes_;                          // layer by layer, forwards and then reverse
  std::vector<std::shared_ptr<Dropout<T>>> dropout_;  // after each layer but the last; none for p = 0
  Sizes now_{};
  Tensor<T> x_by_time_, dx_by_time_;           // if the batch comes first
  std::vector<Tensor<T>> between_, dbetween_;  // output of each layer but the last, and its gradient
  State initial_, final_, initial_gradient_, final_gradient_;
  bool carries_ = false, given_ = false;  // given_: the last initial state was neither zero nor carried over
  Tensor<T> traced_x_, traced_dy_;        // while a step is recorded
};

/// Elman's recurrent layer, as torch.nn.RNN:  h_t = φ(W_ih·x_t + b_ih + W_hh·h_{t−1} + b_hh),  φ = tanh or ReLU.
///
/// Derivation (with Recurrent's): p_t and q_t occur only as a sum, so dp_t = dq_t = ∂L/∂h_t∘φ′, from the output:
/// tanh′ = 1 − h². A gradient on its way from step T to step t is multiplied by W_hh and φ′ T−t times: it vanishes or
/// grows with the powers of W_hh (labs/sequence).
template <class T = float>
class RNN : public Recurrent<T> {
 public:
  /// All parameters from U(−1/√H, 1/√H), drawn as in torch.nn.RNN: weight_ih_l0 (H×in), weight_hh_l0 (H×H), bias_ih_l0
  /// (H), bias_hh_l0 (H), then `…_l0_reverse`, then `…_l1` (in = H·directions) … Throws ValueError for a size of 0, an
  /// unknown nonlinearity, or a dropout outside [0, 1].
  RNN(std::size_t input_size, std::size_t hidden_size, const RNNOptions& options = {});
};

/// Long short-term memory (Hochreiter and Schmidhuber 1997; with forget gate Gers et al. 2000), as torch.nn.LSTM. With
/// a = p + q in four blocks of H rows, in the order i, f, g, o:
///     i = σ(a_i),  f = σ(a_f),  g = tanh(a_g),  o = σ(a_o),   c = f∘c₋ + i∘g,   h = o∘tanh(c)
///
/// Derivation (with Recurrent's; Greff et al. 2017, appendix): c acts through h and through the next step's c, so
///     dc = dc₊ + dh∘o∘(1 − tanh²c)
///     da_i = dc∘g∘i(1−i),  da_f = dc∘c₋∘f(1−f),  da_g = dc∘i∘(1−g²),  da_o = dh∘tanh(c)∘o(1−o)
///     dc₋ = dc∘f:  through c a gradient is multiplied by f alone, which training can keep near 1
template <class T = float>
class LSTM : public Recurrent<T> {
 public:
  /// As RNN, with parameters of 4·H rows.
  LSTM(std::size_t input_size, std::size_t hidden_size, const RecurrentOptions& options = {});
};

/// Gated recurrent unit (Cho et al. 2014, in the form of cuDNN), as torch.nn.GRU: blocks of rows in the order r, z, n:
///     r = σ(p_r + q_r),  z = σ(p_z + q_z),  n = tanh(p_n + r∘q_n),   h = (1 − z)∘n + z∘h₋
/// r multiplies q_n = W_hn·h₋ + b_hn, not h₋ itself as in Cho's paper.
///
/// Derivation (with Recurrent's):
///     dp_n = dh∘(1−z)∘(1−n²),  dp_z = dh∘(h₋−n)∘z(1−z),  dp_r = dp_n∘q_n∘r(1−r)
///     dq_r = dp_r,  dq_z = dp_z,  dq_n = dp_n∘r:  only here do W_hh, b_hh get another gradient than W_ih, b_ih
///     ∂L/∂h₋ = dh∘z + dq·W_hh
template <class T = float>
class GRU : public Recurrent<T> {
 public:
  /// As RNN, with parameters of 3·H rows.
  GRU(std::size_t input_size, std::size_t hidden_size, const RecurrentOptions& options = {});
};

RNN(std::size_t, std::size_t)->RNN<float>;
RNN(std::size_t, std::size_t, RNNOptions)->RNN<float>;
LSTM(std::size_t, std::size_t)->LSTM<float>;
LSTM(std::size_t, std::size_t, RecurrentOptions)->LSTM<float>;
GRU(std::size_t, std::size_t)->GRU<float>;
GRU(std::size_t, std::size_t, RecurrentOptions)->GRU<float>;

}  // namespace handgrad
