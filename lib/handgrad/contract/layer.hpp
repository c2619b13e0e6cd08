#pragma once
#include <iosfwd>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "handgrad/base/errors.hpp"
#include "handgrad/base/tensor.hpp"
#include "handgrad/contract/inspection.hpp"
#include "handgrad/contract/parameter.hpp"

namespace handgrad {

namespace fusion {
template <class T>
struct Access;

/// What a fused forward left for its backward, in the device's own format, and the output y that it belongs to. Since y
/// is held here, it is not overwritten: if the layer still has it, no other forward has run.
template <class T>
struct Note {
  Tensor<T> content, y;
  bool is_of(const Tensor<T>& output) const { return y.defined() && y.data() == output.data(); }
};
}  // namespace fusion

/// y = f(x; θ) and, for a loss L with δ = ∂L/∂y, the chain rule by hand: dx = ∂L/∂x, dθ = ∂L/∂θ.
///
/// Users call `forward(x)` and `backward(dy)`. These are implemented once, here: they check shape and device, size the
/// output, keep what the backward needs, and record the trace. A new layer overrides the two functions of its
/// mathematics, `forward_into` and `backward_into`, and names its parameters in the constructor:
///
///     template <class T>
///     struct Scale : Layer<T> {                                       // y = a·x
///       Parameter<T> a = this->register_parameter("a", ones<T>({1}));
///       void forward_into(const Tensor<T>& x, Tensor<T>& y) override { y.xt() = a.value().item() * x.xt(); }
///       void backward_into(const Tensor<T>& x, const Tensor<T>&, const Tensor<T>& dy, Tensor<T>& dx) override {
///         a.accumulate(xt::sum(dy.xt() * x.xt()));                    // da = Σ dy·x
///         dx.xt() = a.value().item() * dy.xt();                       // dx = a·dy
///       }
///     };
///
/// Rules: dx is overwritten. Parameter gradients accumulate (`Parameter::accumulate`). Only the loss divides by the
/// batch; layers sum over it. A layer caches only what x and y cannot give, and a backward leaves that unchanged, so
/// that calling it twice is legal and accumulates twice.
///
/// What the gradient check and the recorder need besides is in contract/inspection.hpp.
template <class T>
class Layer : public LayerInspection<T> {
 public:
  using value_type = T;
  Layer() = default;
  Layer(const Layer&) = delete;  // to copy a layer: construct another, then load_state_dict(state_dict())
  Layer& operator=(const Layer&) = delete;
  Layer(Layer&&) noexcept = default;
  Layer& operator=(Layer&&) noexcept = default;

  /// y = f(x). The result is the layer's buffer, which the next forward overwrites unless somebody still holds a handle
  /// (`auto y = net.forward(x)` keeps its values). x is kept for the backward and must not be changed before it. Throws
  /// ShapeError for a wrong shape or an empty batch, DeviceError when x is not where the parameters are; a backward
  /// then needs another forward first.
  const Tensor<T>& forward(const Tensor<T>& x) &;
  /// The same for a temporary, `Softmax().forward(z)`: a handle that outlives the layer.
  Tensor<T> forward(const Tensor<T>& x) && { return forward(x); }
  /// Given δ = dy = ∂L/∂y, adds ∂L/∂θ to the gradient of each parameter θ and returns dx = ∂L/∂x, for the last forward.
  /// Throws StateError before any forward, ShapeError unless dy has the shape of y. See `requires_input_grad`.
  const Tensor<T>& backward(const Tensor<T>& dy);

  /// Whether backward computes dx; if not, it returns an undefined tensor. The default is true, but false for a
  /// Sequential: the dx of a whole network is the gradient of the data, which training does not need.
  void requires_input_grad(bool wanted);
  bool requires_input_grad() const { return input_grad_ && differentiable_input(); }
  /// Whether there is a dx at all: not for a layer whose input is indices rather than quantities.
  virtual bool differentiable_input() const { return true; }

  /// Training or evaluation mode, here and in all layers below (Dropout and BatchNorm differ).
  void train(bool on = true);
  void eval() { train(false); }
  bool is_training() const { return training_; }

  /// Own parameters in the order of registration, then those of the layers below, named as in PyTorch (`0.weight`); a
  /// tied one (containers/tie.hpp) once, under its first name.
  std::vector<NamedParameter<T>> named_parameters() const;
  std::vector<Parameter<T>> parameters() const;
  /// Buffers (`running_mean`), likewise.
  std::vector<std::pair<std::string, Buffer<T>>> named_buffers() const;
  /// Counters (`num_batches_tracked`), likewise: in double whatever T is, exact up to 2⁵³.
  std::vector<std::pair<std::string, Buffer<double>>> named_counters() const;
  std::size_t parameter_count() const;
  void zero_grad();
  /// Whether a backward computes the gradients of all parameters, here and below (Parameter::requires_grad).
  void requires_grad(bool wanted);
  /// `requires_grad(false)`.
  void freeze() { requires_grad(false); }
  /// Moves parameters, gradients and buffers.
  Layer& to(Device device);

  /// Copies of all parameters, buffers and counters, by name; a tied parameter under each of its names. A counter that
  /// T cannot represent, from 2²⁴ on in float, comes as two numbers, (2,), that add up to it; safetensors files store
  /// it as I64, as PyTorch's do.
  std::vector<NamedTensor<T>> state_dict() const;
  /// Copies the values. Throws ValueError naming missing and unexpected names (`strict`), and ShapeError naming the
  /// parameter and both shapes, and then changes nothing. If only `num_batches_tracked` is missing, as in early files
  /// of PyTorch, it becomes 0.
  void load_state_dict(const std::vector<NamedTensor<T>>& state, bool strict = true);

  /// The layers directly below, by name.
  const std::vector<std::pair<std::string, std::shared_ptr<Layer>>>& children() const { return children_; }

  /// The class's name, `Linear`.
  virtual std::string name() const;
  /// The arguments in parentheses when printed: `in_features=2, out_features=4, bias=True`.
  virtual std::string extra_repr() const { return ""; }
  /// The layer's name in error messages: `Linear(2 → 4)`.
  virtual std::string label() const { return children_.empty() ? name() + "(" + extra_repr() + ")" : name(); }
  /// The shape of y for an x of shape `input`, by default the same. Throws ShapeError if the layer cannot take it.
  virtual Shape output_shape(const Shape& input) const { return input; }
  /// The fewest rows that the layer itself takes in its current mode; `fit` checks this before the first step.
  virtual std::size_t least_rows() const { return 1; }

 protected:
  /// The layer's mathematics. y and dx come with their final size, uninitialised.
  virtual void forward_into(const Tensor<T>& x, Tensor<T>& y) = 0;
  virtual void backward_into(const Tensor<T>& x, const Tensor<T>& y, const Tensor<T>& dy, Tensor<T>& dx) = 0;
  /// For containers, whose output is the last layer's: the whole chain at once, without buffers of their own.
  virtual const Tensor<T>& propagate(const Tensor<T>& x);
  virtual const Tensor<T>& backpropagate(const Tensor<T>& dy);
  virtual void input_grad_changed() {}
  /// Called after the children or their mode changed or the parameters moved: drops what was derived from these.
  virtual void invalidate() {}

  /// Called by a constructor: what has a name in `named_parameters` and `state_dict`.
  Parameter<T> register_parameter(std::string name, Tensor<T> value);
  Buffer<T> register_buffer(std::string name, Tensor<T> value);
  Buffer<double> register_counter(std::string name);
  /// Throws ValueError for a layer that is here already: it keeps the data of one forward only.
  void register_child(std::string name, std::shared_ptr<Layer> layer);

 private:
  friend class LayerInspection<T>;
  friend struct GradientUses<T>;
  friend struct fusion::Access<T>;  // what containers and fused paths may use of a layer: fusion/access.hpp
  /// Before forward_into: checks x, keeps it, sizes y.
  void accept(const Tensor<T>& x);
  void check(const Tensor<T>& x);
  /// Before backward_into: checks dy against the last output y.
  void accept_gradient(const Tensor<T>& y, const Tensor<T>& dy) const;
  /// Returned by a backward whose dx was not asked for.
  static const Tensor<T>& not_wanted();
  template <class F>
  void for_each(const std::string& prefix, F&& visit) const;

  std::vector<NamedParameter<T>> parameters_;
  std::vector<std::pair<std::string, Buffer<T>>> buffers_;
  std::vector<std::pair<std::string, Buffer<double>>> counters_;
  std::vector<std::pair<std::string, std::shared_ptr<Layer>>> children_;
  bool training_ = true;
  bool input_grad_ = true;
  Device device_;

  Tensor<T> x_, y_, dx_;                  // of the last forward and backward
  Tensor<T> other_y_;                     // alternates with y_ while somebody, such as a loss, holds the last output
  fusion::Note<T> note_;                  // of a fused forward
  Shape checked_input_, checked_output_;  // the last input shape that output_shape() accepted, and what it gave
  bool checked_ = false;
};

/// As PyTorch prints a module, followed by the number of parameters.
template <class T>
std::ostream& operator<<(std::ostream& out, const Layer<T>& layer);

}  // namespace handgrad
