#pragma once
// The operations that a layer, a loss or an optimizer may call. One implementation for each kind of device: kernels/cpu
// and kernels/cuda. All are pure virtual: an operation that a device lacks does not compile. Nothing here checks
// shapes: that is the caller's business, once. Tensors are contiguous and row-major; outputs come sized.
#include <cstddef>
#include <span>

#include "handgrad/loss.hpp"
#include "handgrad/parameter.hpp"
#include "handgrad/tensor.hpp"
#include "kernels/formulas/activations.hpp"
#include "kernels/formulas/losses.hpp"
#include "kernels/formulas/optimizers.hpp"

namespace handgrad::kernels {

/// A gradient to accumulate into: grad = β·grad + …, β = 0 or 1 (`Parameter::accumulate`).
template <class T>
struct Accumulator {
  Tensor<T>* grad = nullptr;  // null: not wanted
  T beta = 0;
};

template <class T>
Accumulator<T> accumulate(Parameter<T>& parameter) {
  if (!parameter.defined()) return {};
  auto [grad, beta] = parameter.accumulate();
  return {&grad, beta};
}

/// ℓ of a row of predictions p, for a target distribution y and weights w of the classes:
enum class RowLoss {
  CrossEntropy,           // ℓ = −Σⱼ wⱼ·yⱼ·log softmax(p)ⱼ   p are logits
  NegativeLogLikelihood,  // ℓ = −Σⱼ wⱼ·yⱼ·pⱼ                p are logarithms of probabilities
  Categorical,            // ℓ = −Σⱼ wⱼ·yⱼ·log pⱼ            p are probabilities
};

template <class T>
struct SGDUpdate {
  Tensor<T>* value;
  const Tensor<T>* grad;
  Tensor<T>* velocity;  // null without momentum
  bool first;           // the velocity has no value yet
};

/// A tensor seen along one dimension: for each of `outer`·`inner` lines, `size` elements `inner` apart.
struct Lines {
  std::size_t outer, size, inner;
};
inline Lines lines_along(const Shape& shape, int dim) {
  Lines lines{1, shape[dim], 1};
  for (int i = 0; i < dim; ++i) lines.outer *= shape[i];
  for (int i = dim + 1; i < static_cast<int>(shape.rank()); ++i) lines.inner *= shape[i];
  return lines;
}

template <class T>
class Backend {
 public:
  virtual ~Backend() = default;

  // Elements
  virtual void fill(Tensor<T>& y, T value) = 0;
  /// y = a·y
  virtual void scale(Tensor<T>& y, T a) = 0;
  /// y = y + a·x
  virtual void add(Tensor<T>& y, T a, const Tensor<T>& x) = 0;
  /// Row i of y times the i-th element of x; x has as many elements as y has rows when all dimensions of y beyond those
  /// of x are taken as columns. For x of the shape of y, element by element.
  virtual void multiply_rows(Tensor<T>& y, const Tensor<T>& x) = 0;
  /// value (shape ()) = a·Σx²
  virtual void sum_of_squares(const Tensor<T>& x, T a, Tensor<T>& value) = 0;

  // Products. C (m×n) = op(A)·op(B) + β·C
  virtual void matmul(const Tensor<T>& a, bool transpose_a, const Tensor<T>& b, bool transpose_b, T beta,
                      Tensor<T>& c) = 0;

  // Linear: x (N×in), W (out×in), b (out), y (N×out); N is all dimensions but the last
  /// y = f(x·Wᵀ + b); b may be null, f too
  virtual void linear_forward(const Tensor<T>& x, const Tensor<T>& W, const Tensor<T>* b, const formulas::Activation* f,
                              Tensor<T>& y) = 0;
  /// dx = dy·W
  virtual void linear_backward_input(const Tensor<T>& dy, const Tensor<T>& W, Tensor<T>& dx) = 0;
  /// dW = dyᵀ·x,  db = Σᵢ dyᵢ
  virtual void linear_backward_parameters(const Tensor<T>& x, const Tensor<T>& dy, Accumulator<T> dW,
                                          Accumulator<T> db) = 0;

  // Activations: y = f(z), dz = dy·f′(z). dz may be dy
  virtual void activation_forward(const formulas::Activation& f, const Tensor<T>& z, Tensor<T>& y) = 0;
  virtual void activation_backward(const formulas::Activation& f, const Tensor<T>& z, const Tensor<T>& y,
                                   const Tensor<T>& dy, Tensor<T>& dz) = 0;
  virtual void softmax_forward(const Tensor<T>& z, int dim, Tensor<T>& y) = 0;
  virtual void softmax_backward(const Tensor<T>& y, const Tensor<T>& dy, int dim, Tensor<T>& dz) = 0;
  virtual void log_softmax_forward(const Tensor<T>& z, int dim, Tensor<T>& y) = 0;
  virtual void log_softmax_backward(const Tensor<T>& y, const Tensor<T>& dy, int dim, Tensor<T>& dz) = 0;

  // Losses of elements: ℓᵢ = wᵢ·f(pᵢ, yᵢ, qᵢ); w and q may be null (1). value = a·Σℓ, or all ℓ for Reduction::None
  virtual void element_loss_forward(const formulas::ElementLoss& f, const Tensor<T>& p, const Tensor<T>& y,
                                    const Tensor<T>* w, const Tensor<T>* q, Reduction reduction, T a,
                                    Tensor<T>& value) = 0;
  /// dpᵢ = a·wᵢ·∂f/∂p
  virtual void element_loss_backward(const formulas::ElementLoss& f, const Tensor<T>& p, const Tensor<T>& y,
                                     const Tensor<T>* w, const Tensor<T>* q, T a, Tensor<T>& dp) = 0;

  // Losses of rows: p (N×C), y classes (N) or a distribution for each row (N×C), w weights of classes (C) or null
  /// Mean divides by N, or by Σᵢ w(yᵢ) where y are classes; that divisor is left in `divisor` (shape ()) for the
  /// backward. Throws ValueError when an element of y is no class in [0, C).
  virtual void row_loss_forward(RowLoss loss, const Tensor<T>& p, const Tensor<T>& y, const Tensor<T>* w,
                                Reduction reduction, Tensor<T>& divisor, Tensor<T>& value) = 0;
  virtual void row_loss_backward(RowLoss loss, const Tensor<T>& p, const Tensor<T>& y, const Tensor<T>* w,
                                 const Tensor<T>& divisor, Tensor<T>& dp) = 0;

  // Optimizers: all parameters at once
  virtual void sgd(const formulas::SGD& rule, std::span<const SGDUpdate<T>> updates) = 0;
};

/// A device's memory. `upload` and `download` cross from and to the host.
class Memory {
 public:
  virtual ~Memory() = default;
  virtual void* allocate(std::size_t bytes) = 0;
  virtual void deallocate(void* address, std::size_t bytes) noexcept = 0;
  virtual void upload(void* device, const void* host, std::size_t bytes) = 0;
  virtual void download(void* host, const void* device, std::size_t bytes) = 0;
  virtual void copy(void* to, const void* from, std::size_t bytes) = 0;
};

/// What serves a device. Throws DeviceError, with the reason, for a device that is not there.
Memory& memory(Device device);
template <class T>
Backend<T>& backend(Device device);

// The CPU's, in kernels/cpu.
Memory& cpu_memory();
template <class T>
Backend<T>& cpu_backend();

}  // namespace handgrad::kernels
