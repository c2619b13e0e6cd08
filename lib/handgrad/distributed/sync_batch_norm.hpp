#pragma once
#include <cstdint>
#include <vector>

#include "handgrad/distributed/communicator.hpp"
#include "handgrad/layers/batch_norm.hpp"

namespace handgrad {

/// BatchNorm1d over the rows of all ranks, as torch.nn.SyncBatchNorm: x, y (Nᵣ×C) on rank r, N = Σᵣ Nᵣ, and with
///     µ = (1/N) Σᵣ Σₙ xₙ,  σ² = (1/N) Σᵣ Σₙ (xₙ − µ)²,  s = 1/√(σ² + eps),  x̂ = (x − µ)·s,  y = γ·x̂ + β
///
/// Forward: each rank computes Nᵣ, its mean µᵣ and Mᵣ = Σₙ (xₙ − µᵣ)². One exchange of these gives
///     N·µ = Σᵣ Nᵣ·µᵣ,    N·σ² = Σᵣ (Mᵣ + Nᵣ·(µᵣ − µ)²)
/// (without subtracting large numbers, unlike Σx² − N·µ²).
///
/// Derivation of the backward. For L = Σᵣ wᵣ·Lᵣ/W (data_parallel.hpp: wᵣ the rows that rank r's loss averages over, W
/// their sum) rank r holds δ = ∂Lᵣ/∂y, so ∂L/∂y = (wᵣ/W)·δ. BatchNorm's derivation over all N rows gives
///     ∂L/∂x = γ·s·(∂L/∂y − A/N − x̂·B/N),    A = Σᵣ (wᵣ/W)·Σₙ δₙ,    B = Σᵣ (wᵣ/W)·Σₙ δₙ·x̂ₙ
/// with both sums over all ranks: the second exchange. In the rank's own terms, dx = ∂Lᵣ/∂x = (W/wᵣ)·∂L/∂x:
///     dx = γ·s·(δ − a − x̂·b),    a = (1/(N·wᵣ))·Σᵣ wᵣ·Σₙ δₙ,    b = (1/(N·wᵣ))·Σᵣ wᵣ·Σₙ δₙ·x̂ₙ
/// dβ = Σₙ δₙ and dγ = Σₙ δₙ·x̂ₙ are over the rank's own rows; DataParallel sums them with the other gradients.
///
/// Parameters and buffers have BatchNorm1d's names, and state_dicts are interchangeable with it. Evaluation uses the
/// running statistics, which are the same on all ranks, without an exchange. On a GPU only the exchanged sums, two per
/// column each time, go through the host. Throws ShapeError as BatchNorm1d does, for fewer than 2 rows in all.
template <class T = float>
class SyncBatchNorm : public Layer<T> {
 public:
  /// The communicator must outlive the layer.
  SyncBatchNorm(std::size_t num_features, Communicator& communicator, BatchNormOptions options = {});

  std::size_t num_features() const { return num_features_; }
  const BatchNormOptions& options() const { return options_; }

  Parameter<T> weight, bias;
  Buffer<T> running_mean, running_var;
  Buffer<double> num_batches_tracked;

  /// For DataParallel::join: the part that a rank without rows has in the others' next forward, and in their backward,
  /// through layers that have run in some order before (or a single one).
  static void forward_without_rows(std::vector<SyncBatchNorm*>& layers);
  static void backward_without_rows(std::vector<SyncBatchNorm*>& layers);
  /// Whether the layer has run both.
  bool has_run() const { return backward_turn_ > 0; }

  std::string extra_repr() const override;
  Shape output_shape(const Shape& input) const override;

 protected:
  void forward_into(const Tensor<T>& x, Tensor<T>& y) override;
  void backward_into(const Tensor<T>& x, const Tensor<T>& y, const Tensor<T>& dy, Tensor<T>& dx) override;

 private:
  void statistics_of_all(const Tensor<T>* x);
  bool sums() const { return this->is_training() || !options_.track_running_stats; }
  void remember();

  std::size_t num_features_;
  BatchNormOptions options_;
  Communicator* communicator_;
  Tensor<T> statistics_, host_;           // µ and what its rounding left, s, σ²·N/(N−1), of the last forward
  Tensor<T> mean_, inv_std_;              // parts of it
  Tensor<T> sums_;                        // of this rank, then the means of all
  Tensor<double> part_;                   // Nᵣ, µᵣ, Mᵣ
  std::vector<double> table_, all_sums_;  // what is exchanged
  double rows_ = 0;                       // N
  bool of_batch_ = true;
  std::uint64_t forward_turn_ = 0, backward_turn_ = 0;  // the order in which layers ran
};

SyncBatchNorm(std::size_t, Communicator&)->SyncBatchNorm<float>;
SyncBatchNorm(std::size_t, Communicator&, BatchNormOptions)->SyncBatchNorm<float>;

}  // namespace handgrad
