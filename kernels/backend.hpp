#pragma once
// The operations that a layer, a loss or an optimizer may call. One implementation for each kind of device: kernels/cpu
// and kernels/cuda. All are pure virtual: an operation that a device lacks does not compile. Nothing here checks
// shapes: that is the caller's business, once. Tensors are contiguous and row-major; outputs come sized.
#include <array>
#include <cstddef>
#include <memory>
#include <span>
#include <string>

#include "handgrad/base/tensor.hpp"
#include "handgrad/contract/loss.hpp"
#include "handgrad/contract/parameter.hpp"
#include "kernels/formulas/activations.hpp"
#include "kernels/formulas/losses.hpp"
#include "kernels/formulas/optimizers.hpp"
#include "kernels/formulas/random.hpp"

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

/// One parameter's part of an optimizer's step.
template <class T>
struct Update {
  Tensor<T>* value;
  const Tensor<T>* grad;
  std::array<Tensor<T>*, formulas::UpdateRule::most_states> state;  // as many as the rule has, then null
  formulas::UpdateRule rule;
};

/// What BatchNorm remembers of the batches. Null where it does not.
template <class T>
struct RunningStatistics {
  Tensor<T>* mean = nullptr;   // (C)
  Tensor<T>* var = nullptr;    // (C), of the unbiased variance
  Tensor<T>* count = nullptr;  // (), the number of batches
  T momentum = 0;
  bool cumulative = false;  // the plain average of all batches: momentum = 1/count
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
  /// Row i of y = row rows[i] of x
  virtual void gather_rows(const Tensor<T>& x, const Tensor<double>& rows, Tensor<T>& y) = 0;
  /// value (shape ()) = a·Σx²
  virtual void sum_of_squares(const Tensor<T>& x, T a, Tensor<T>& value) = 0;

  // Products. C (m×n) = op(A)·op(B) + β·C
  virtual void matmul(const Tensor<T>& a, bool transpose_a, const Tensor<T>& b, bool transpose_b, T beta,
                      Tensor<T>& c) = 0;

  // Linear: x (N×in), W (out×in), b (out), y (N×out); N is all dimensions but the last
  /// y = f(x·Wᵀ + b); b may be null, f too. In `mask`, which may be null and has `mask_size` elements, what f′ needs is
  /// left for activation_linear_backward, in a form of the device's own; says whether it was.
  virtual bool linear_forward(const Tensor<T>& x, const Tensor<T>& W, const Tensor<T>* b, const formulas::Activation* f,
                              Tensor<T>& y, Tensor<T>* mask = nullptr) = 0;
  /// 0 where y itself serves as well.
  virtual std::size_t mask_size(const formulas::Activation& f, const Tensor<T>& y) const = 0;
  /// dx = dy·W
  virtual void linear_backward_input(const Tensor<T>& dy, const Tensor<T>& W, Tensor<T>& dx) = 0;
  /// dW = dyᵀ·x,  db = Σᵢ dyᵢ
  virtual void linear_backward_parameters(const Tensor<T>& x, const Tensor<T>& dy, Accumulator<T> dW,
                                          Accumulator<T> db) = 0;
  /// Back through a Linear and the activation before it, x = f(z), to what z came from, a Linear with bias b:
  /// dz = (dy·W)∘f′(z),  db = Σᵢ dzᵢ. `mask` is what that Linear's forward left, or null.
  virtual void activation_linear_backward(const Tensor<T>& dy, const Tensor<T>& W, const formulas::Activation& f,
                                          const Tensor<T>& z, const Tensor<T>& x, const Tensor<T>* mask, Tensor<T>& dz,
                                          Accumulator<T> db) = 0;

  // Activations: y = f(z), dz = dy·f′(z). dz may be dy
  virtual void activation_forward(const formulas::Activation& f, const Tensor<T>& z, Tensor<T>& y) = 0;
  virtual void activation_backward(const formulas::Activation& f, const Tensor<T>& z, const Tensor<T>& y,
                                   const Tensor<T>& dy, Tensor<T>& dz) = 0;
  virtual void softmax_forward(const Tensor<T>& z, int dim, Tensor<T>& y) = 0;
  virtual void softmax_backward(const Tensor<T>& y, const Tensor<T>& dy, int dim, Tensor<T>& dz) = 0;
  virtual void log_softmax_forward(const Tensor<T>& z, int dim, Tensor<T>& y) = 0;
  virtual void log_softmax_backward(const Tensor<T>& y, const Tensor<T>& dy, int dim, Tensor<T>& dz) = 0;

  // Normalisation, with µ, s = 1/√(σ² + ε) and x̂ = (x − µ)·s (kernels/formulas/norms.hpp). γ and β may be null: 1 and
  // 0.
  /// y = γ∘x̂ + β for each column of x (N×C); γ, β, mean, inv_std (C). With `of_batch`, µ and σ² are the batch's, and
  /// where there are running statistics, count ← count + 1, r ← (1−a)·r + a·(µ, σ²·N/(N−1)); otherwise µ and σ² are the
  /// running ones. mean and inv_std are left for the backward.
  virtual void batch_norm_forward(const Tensor<T>& x, const Tensor<T>* gamma, const Tensor<T>* beta, T eps,
                                  const RunningStatistics<T>& running, bool of_batch, Tensor<T>& mean,
                                  Tensor<T>& inv_std, Tensor<T>& y) = 0;
  /// dβ = Σₙ δ,  dγ = Σₙ δ∘x̂,  dx = s∘γ∘(δ − dβ/N − x̂∘dγ/N), without the two means unless `of_batch`. sums (2×C) is
  /// left with this batch's dβ and dγ. dx may be null.
  virtual void batch_norm_backward(const Tensor<T>& x, const Tensor<T>& dy, const Tensor<T>* gamma,
                                   const Tensor<T>& mean, const Tensor<T>& inv_std, bool of_batch, Tensor<T>& sums,
                                   Accumulator<T> dgamma, Accumulator<T> dbeta, Tensor<T>* dx) = 0;
  /// y = γ∘x̂ + β for each row of x (N×D); γ, β (D), mean, inv_std (N).
  virtual void layer_norm_forward(const Tensor<T>& x, const Tensor<T>* gamma, const Tensor<T>* beta, T eps,
                                  Tensor<T>& mean, Tensor<T>& inv_std, Tensor<T>& y) = 0;
  /// dβ = Σₙ δ,  dγ = Σₙ δ∘x̂;  with g = γ∘δ, row by row dx = s·(g − mean(g) − x̂·mean(g∘x̂)). dx may be null.
  virtual void layer_norm_backward(const Tensor<T>& x, const Tensor<T>& dy, const Tensor<T>* gamma,
                                   const Tensor<T>& mean, const Tensor<T>& inv_std, Accumulator<T> dgamma,
                                   Accumulator<T> dbeta, Tensor<T>* dx) = 0;

  /// y = m∘x/(1−p) with the mask m of `step` (shape ()), which with `advance` is increased by 1 first. The backward is
  /// the same with dy for x, without `advance`. y may be x.
  virtual void dropout(const formulas::Dropout& rule, bool advance, Tensor<double>& step, const Tensor<T>& x,
                       Tensor<T>& y) = 0;

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
  virtual void optimize(std::span<const Update<T>> updates) = 0;
  /// norm (shape ()) = ‖all gradients as one vector‖ₚ, p ≥ 1 or ∞; each is then multiplied by max_norm/(norm + 1e-6)
  /// where that is below 1.
  virtual void clip_norm(std::span<Tensor<T>* const> grads, T max_norm, double p, Tensor<T>& norm) = 0;
  /// Each element held to [−bound, bound].
  virtual void clip_value(std::span<Tensor<T>* const> grads, T bound) = 0;
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

/// Memory of the host from which a device copies by itself, while it computes. What it copies to belongs to one such:
/// with two of them, and two buffers of the device, in turn, one batch arrives while the one before is computed with.
class Staging {
 public:
  virtual ~Staging() = default;
  struct Transfer {
    void* to;          // in the device's memory
    const void* from;  // in the staging memory
    std::size_t bytes;
  };
  /// The memory, to be written. Waits for what was sent from it before.
  virtual void* host() = 0;
  /// Does not wait. What the device is given to do from now on comes after it; it comes after the last `release`.
  virtual void send(std::span<const Transfer> transfers) = 0;
  /// All that reads what was sent before has been given to the device.
  virtual void release() = 0;
};

/// A sequence of operations that is run many times: recorded by the device where it can be, and replayed then without
/// the cost of each launch. The operations are called every time, between `begin` and `end`; what they come to never
/// depends on whether they were recorded.
class StepGraph {
 public:
  virtual ~StepGraph() = default;
  virtual void begin() = 0;
  virtual void end() = 0;
  /// Instead of `end`, when an exception left the sequence: what came before it is carried out.
  virtual void abandon() noexcept = 0;
  /// Was the last sequence recorded, or replayed?
  virtual bool captured() const = 0;
  /// Why not, when it was not.
  virtual std::string reason() const = 0;
};

/// What serves a device. Throws DeviceError, with the reason, for a device that is not there.
Memory& memory(Device device);
template <class T>
Backend<T>& backend(Device device);
/// Null on the CPU, where there is nothing to gain.
std::unique_ptr<StepGraph> step_graph(Device device);
std::unique_ptr<Staging> staging(Device device, std::size_t bytes);

// The CPU's, in kernels/cpu.
Memory& cpu_memory();
template <class T>
Backend<T>& cpu_backend();

}  // namespace handgrad::kernels
