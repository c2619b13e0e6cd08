#pragma once
#include <algorithm>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "handgrad/base/tensor.hpp"

namespace handgrad {

template <class T>
struct GradientUses;

/// A trainable tensor and its gradient. A handle: copies refer to the same parameter, so that an optimizer and a layer
/// share it even after the layer has been moved.
///
/// Gradients accumulate until `zero_grad()`, which only marks the gradient as stale: the first write after it
/// overwrites (β = 0 in `grad = β·grad + …`), every later one adds (β = 1), and no zeros need to be filled in.
template <class T>
class Parameter {
 public:
  Parameter() : Parameter(Tensor<T>()) {}
  Parameter(Tensor<T> value) : place_(std::make_shared<std::shared_ptr<State>>(std::make_shared<State>())) {
    state().shape = value.shape();
    state().value = std::move(value);
  }
  // A moved-from Parameter remains a handle: after `Sequential net{std::move(linear)}`, linear.weight is the network's.
  // Assigning a Parameter rebinds this handle only, unnoticed by a layer that registered it.
  Parameter(const Parameter&) = default;
  Parameter& operator=(const Parameter&) = default;
  /// `linear.weight = W` copies W into this parameter, for all its handles. Throws ShapeError for another shape.
  Parameter& operator=(const Tensor<T>& values) {
    state().value.copy_from(values);
    return *this;
  }

  Tensor<T>& value() { return state().value; }
  const Tensor<T>& value() const { return state().value; }
  operator const Tensor<T>&() const { return state().value; }
  /// The value as an xtensor expression, and what is asked of it most.
  auto xt() { return value().xt(); }
  auto xt() const { return value().xt(); }

  /// Of the value.
  const Shape& shape() const { return value().shape(); }
  std::size_t numel() const { return value().numel(); }
  bool defined() const { return value().defined(); }

  /// The gradient, of the value's shape; zeros when nothing has been written since `zero_grad()`.
  const Tensor<T>& grad() const {
    state().rows.known = false;  // the caller may write
    if (!state().zero && !state().written) {
      writable().fill(T(0));
      state().zero = true;
    }
    return state().grad;
  }
  void zero_grad() { state().written = state().zero = false; }
  /// Whether a backward has written this gradient since `zero_grad()`. If not, optimizers skip it, as in PyTorch.
  bool has_grad() const { return state().written; }

  /// Whether a backward computes this gradient. A frozen parameter, `requires_grad(false)`, keeps its value: its
  /// gradient is dropped, none is computed, and optimizers skip it. It stays in state_dict.
  void requires_grad(bool wanted) {
    state().frozen = !wanted;
    if (!wanted) zero_grad();
  }
  bool requires_grad() const { return !state().frozen; }

  /// For writers of layers: where the gradient accumulates, and β: 0 for the first write since `zero_grad()`, then 1.
  /// Call once for each accumulation `grad = β·grad + dW`. Writes for a frozen parameter are ignored; asking
  /// `requires_grad()` first saves the work.
  std::pair<Tensor<T>&, T> accumulate() {
    state().rows.known = false;
    if (state().frozen) return {writable(), T(0)};
    T beta = state().written ? T(1) : T(0);
    state().written = true;
    return {writable(), beta};
  }
  /// The same for an xtensor expression: grad = dW the first time, grad += dW afterwards. A gradient on a GPU is copied
  /// to the host and back.
  template <detail::XtensorExpression E>
  void accumulate(const E& dW) {
    if (state().frozen) return;
    auto [grad, beta] = accumulate();
    Tensor<T> host = grad.cpu();  // the gradient itself if it is on the CPU
    if (beta == T(0))
      host.xt() = dW;
    else
      host.xt() += dW;
    if (!grad.device().is_cpu()) grad.copy_from(host);
  }

  /// For layers that read few rows of a table (Embedding): the gradient to add to, valid in every row; and, unless
  /// null, where to note the rows that are added to. As long as nobody else writes to the gradient or looks at it,
  /// neither zeroing nor a step of plain SGD visits untouched rows.
  struct TouchedRows {
    std::vector<std::uint32_t> rows;   // each once
    std::vector<unsigned char> marks;  // for each row of the table: is it in `rows`?
    bool known = false;                // all other rows are zero
  };
  /// The gradient to add to, for a layer that touches a few rows, with the note of which.
  std::pair<Tensor<T>&, TouchedRows*> accumulate_rows() {
    TouchedRows& touched = state().rows;
    Tensor<T>& grad = writable();
    if (!state().written && !state().frozen) {
      const std::size_t table = shape()[0], columns = numel() / table;
      if (touched.known && grad.is_unshared()) {
        for (const std::uint32_t row : touched.rows) std::fill_n(grad.data() + row * columns, columns, T(0));
      } else {
        grad.fill(T(0));
        touched.marks.resize(table);
        touched.known = grad.device().is_cpu();
      }
      for (const std::uint32_t row : touched.rows) touched.marks[row] = 0;
      touched.rows.clear();
      state().written = true;
    }
    return {grad, touched.known ? &touched : nullptr};
  }
  /// If known, the rows of the gradient that may differ from zero, and the gradient's first element.
  std::optional<std::pair<const T*, std::span<const std::uint32_t>>> touched_rows() const {
    if (!state().rows.known || !state().grad.is_unshared()) return {};
    return std::pair(std::as_const(state().grad).data(), std::span<const std::uint32_t>(state().rows.rows));
  }

  /// Moves value and gradient.
  void to(Device device) {
    state().rows = {};
    state().value = state().value.to(device);
    if (state().grad.defined()) state().grad = state().grad.to(device);
  }
  /// Whether both are one parameter, not only equal.
  bool same_as(const Parameter& other) const { return *place_ == *other.place_; }
  /// Makes this parameter the other one, for all its handles (see containers/tie.hpp). The shapes must be equal.
  void tie(const Parameter& other) { *place_ = *other.place_; }
  /// Whether the value still has its original shape.
  bool fits() const { return state().value.shape() == state().shape; }

 private:
  friend struct GradientUses<T>;
  /// Counts in the layers of a backward with a listener (gradient_hook.hpp).
  struct Uses {
    std::uint32_t all = 0, pending = 0;
  };
  Uses& uses() { return state().uses; }

  struct State {
    Tensor<T> value, grad;
    Shape shape;
    bool written = false;  // by a backward since zero_grad()
    bool zero = false;     // filled with zeros since zero_grad(), because somebody asked for it
    bool frozen = false;
    Uses uses;
    TouchedRows rows;
  };
  Tensor<T>& writable() const {
    if (!state().grad.defined()) state().grad = Tensor<T>::empty(state().value.shape(), state().value.device());
    return state().grad;
  }
  State& state() const { return **place_; }

  // All handles share this place, so that all of them see what it is tied to.
  std::shared_ptr<std::shared_ptr<State>> place_;
};

/// A tensor that belongs to a layer's state but is not trained (`running_mean`). A handle, as Parameter is.
template <class T>
class Buffer {
 public:
  Buffer() : Buffer(Tensor<T>()) {}
  Buffer(Tensor<T> value) : state_(std::make_shared<State>()) {
    state_->shape = value.shape();
    state_->value = std::move(value);
  }
  Buffer(const Buffer&) = default;  // a moved-from Buffer remains a handle
  Buffer& operator=(const Buffer&) = default;
  Buffer& operator=(const Tensor<T>& values) {
    state_->value.copy_from(values);
    return *this;
  }
  Tensor<T>& value() { return state_->value; }
  const Tensor<T>& value() const { return state_->value; }
  operator const Tensor<T>&() const { return state_->value; }
  /// Moves value and gradient.
  void to(Device device) { state_->value = state_->value.to(device); }
  /// As Parameter's.
  bool fits() const { return state_->value.shape() == state_->shape; }

 private:
  struct State {
    Tensor<T> value;
    Shape shape;
  };
  std::shared_ptr<State> state_;
};

/// A parameter and its name, `0.weight`.
template <class T>
using NamedParameter = std::pair<std::string, Parameter<T>>;
/// A tensor and its name in a state or a file.
template <class T>
using NamedTensor = std::pair<std::string, Tensor<T>>;

}  // namespace handgrad
