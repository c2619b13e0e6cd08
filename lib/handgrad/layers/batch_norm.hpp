#pragma once
#include <optional>

#include "handgrad/contract/layer.hpp"

namespace handgrad {

struct BatchNormOptions {
  double eps = 1e-5;
  std::optional<double> momentum = 0.1;  ///< none: running statistics are the average of all batches
  bool affine = true;                    ///< with weight and bias
  bool track_running_stats = true;       ///< if not, evaluation uses the batch's statistics too
};

/// Batch normalisation (Ioffe and Szegedy 2015), the common part of torch.nn.BatchNorm1d and BatchNorm2d: x, y (N×C) or
/// (N×C×…). For each channel c, over its N elements in the batch (rows times places),
///     µ = (1/N) Σₙ xₙ,  σ² = (1/N) Σₙ (xₙ − µ)²,  s = 1/√(σ² + eps),  x̂ = (x − µ)·s,  y = γ·x̂ + β
/// with γ = weight, β = bias (C), initially 1 and 0. Training updates the running statistics, with a = momentum:
///     running_mean ← (1−a)·running_mean + a·µ,   running_var ← (1−a)·running_var + a·σ²·N/(N−1)
/// Evaluation uses these for µ and σ².
///
/// Derivation, for δ = ∂L/∂y:  dβ = Σₙ δₙ and dγ = Σₙ δₙ·x̂ₙ, since y = γ·x̂ + β.
/// In training µ and σ² depend on every element of the channel. With ∂µ/∂xₘ = 1/N, ∂σ²/∂xₘ = (2/N)(xₘ − µ) and so
/// ∂s/∂xₘ = −(s²/N)·x̂ₘ:
///     ∂x̂ₙ/∂xₘ = s·(δₙₘ − 1/N − x̂ₙ·x̂ₘ/N)        (δₙₘ = 1 for n = m, else 0)
///     dxₘ = Σₙ γ·δₙ·∂x̂ₙ/∂xₘ = γ·s·(δₘ − dβ/N − x̂ₘ·dγ/N)
/// In words: the parts of the gradient along 1 and along x̂ are removed, for x̂ does not change when a constant is added
/// to x or x is scaled. In evaluation the statistics are constants, and dx = γ·s·δ.
///
/// Parameters weight, bias; buffers running_mean, running_var; num_batches_tracked counts the batches. Throws
/// ShapeError for another shape and, if the batch's own variance is needed, for channels of one element.
template <class T>
class BatchNorm : public Layer<T> {
 public:
  std::size_t num_features() const { return num_features_; }
  const BatchNormOptions& options() const { return options_; }

  Parameter<T> weight, bias;
  Buffer<T> running_mean, running_var;
  Buffer<double> num_batches_tracked;

  std::string extra_repr() const override;
  std::string label() const override;
  Shape output_shape(const Shape& input) const override;
  trace::Derivation derivation(const Shape& input) const override;

 protected:
  BatchNorm(const char* name, std::size_t num_features, BatchNormOptions options);
  /// Whether inputs of this rank are accepted, and the accepted shapes for the error message.
  virtual bool takes(std::size_t rank) const = 0;
  virtual std::string expected_shape() const = 0;
  void forward_into(const Tensor<T>& x, Tensor<T>& y) override;
  void backward_into(const Tensor<T>& x, const Tensor<T>& y, const Tensor<T>& dy, Tensor<T>& dx) override;

 private:
  std::size_t num_features_;
  BatchNormOptions options_;
  Tensor<T> mean_, inv_std_;  // µ and s of the last forward, (C)
  Tensor<T> sums_;            // (2×C), scratch of the backward
  bool of_batch_ = true;      // whether µ and σ² were the batch's
};

/// Of columns, (N, C), or of signals of length L, (N, C, L).
template <class T = float>
class BatchNorm1d : public BatchNorm<T> {
 public:
  explicit BatchNorm1d(std::size_t num_features, BatchNormOptions options = {})
      : BatchNorm<T>("BatchNorm1d", num_features, options) {}
  /// 2 if the statistics are the batch's own: one row has no variance.
  std::size_t least_rows() const override {
    return this->is_training() || !this->options().track_running_stats ? 2 : 1;
  }

 protected:
  bool takes(std::size_t rank) const override { return rank == 2 || rank == 3; }
  std::string expected_shape() const override { return "(N, C), rows and columns, or (N, C, L)"; }
};

/// Of images, (N, C, H, W).
template <class T = float>
class BatchNorm2d : public BatchNorm<T> {
 public:
  explicit BatchNorm2d(std::size_t num_features, BatchNormOptions options = {})
      : BatchNorm<T>("BatchNorm2d", num_features, options) {}

 protected:
  bool takes(std::size_t rank) const override { return rank == 4; }
  std::string expected_shape() const override { return "(N, C, H, W)"; }
};

BatchNorm1d(std::size_t)->BatchNorm1d<float>;
BatchNorm1d(std::size_t, BatchNormOptions)->BatchNorm1d<float>;

BatchNorm2d(std::size_t)->BatchNorm2d<float>;
BatchNorm2d(std::size_t, BatchNormOptions)->BatchNorm2d<float>;

}  // namespace handgrad
