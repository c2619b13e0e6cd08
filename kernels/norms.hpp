#pragma once
// Normalisation with µ, s = 1/√(σ² + ε) and x̂ = (x − µ)·s (kernels/formulas/norms.hpp). γ and β may be null: 1 and 0.
#include "kernels/view.hpp"

namespace handgrad::kernels {

/// BatchNorm's running statistics; null where it keeps none.
template <class T>
struct RunningStatistics {
  T* mean = nullptr;        // (C)
  T* var = nullptr;         // (C), of the unbiased variance
  double* count = nullptr;  // the number of batches; a float would stop at 2²⁴
  T momentum = 0;
  bool cumulative = false;  // the plain average of all batches: momentum = 1/count
};

template <class T>
class Norms {
 public:
  virtual ~Norms() = default;

  /// y = γ∘x̂ + β for each column of x (N×C); γ, β, inv_std (C). mean (2×C) holds µ rounded and, below it, the
  /// rounding's rest: with µ = 10000 and σ = 0.005 the rest is a tenth of σ. With `of_batch`, µ and σ² are the batch's,
  /// and running statistics, if any, are updated: count ← count + 1, r ← (1−a)·r + a·(µ, σ²·N/(N−1)); otherwise µ and
  /// σ² are the running ones. mean and inv_std are kept for the backward.
  virtual void batch_norm_forward(Matrix<const T> x, Vector<const T> gamma, Vector<const T> beta, T eps,
                                  const RunningStatistics<T>& running, bool of_batch, Matrix<T> mean, Vector<T> inv_std,
                                  Matrix<T> y) = 0;
  /// dβ = Σₙ δ,  dγ = Σₙ δ∘x̂,  dx = s∘γ∘(δ − dβ/N − x̂∘dγ/N), without the two means unless `of_batch`. sums (2×C)
  /// receives this batch's dβ and dγ. dx may be null.
  virtual void batch_norm_backward(Matrix<const T> x, Matrix<const T> dy, Vector<const T> gamma, Matrix<const T> mean,
                                   Vector<const T> inv_std, bool of_batch, Matrix<T> sums, Gradient<T> dgamma,
                                   Gradient<T> dbeta, Matrix<T> dx) = 0;
  /// Of a batch that lies on several ranks, this rank's rows: part (1+2·C) ← N, then for each column µ and Σₙ (x−µ)².
  /// mean (2×C) is room.
  virtual void batch_norm_part(Matrix<const T> x, Matrix<T> mean, Vector<double> part) = 0;
  /// y = γ∘x̂ + β with the µ and s of the whole batch, as batch_norm_forward leaves them.
  virtual void batch_norm_apply(Matrix<const T> x, Vector<const T> gamma, Vector<const T> beta, Matrix<const T> mean,
                                Vector<const T> inv_std, Matrix<T> y) = 0;
  /// dx = s∘γ∘(δ − a − x̂∘b) with means = a, b (2×C): mean(δ) and mean(δ∘x̂) over the whole batch.
  virtual void batch_norm_apply_backward(Matrix<const T> x, Matrix<const T> dy, Vector<const T> gamma,
                                         Matrix<const T> mean, Vector<const T> inv_std, Matrix<const T> means,
                                         Matrix<T> dx) = 0;
  /// y = γ∘x̂ + β for each row of x (N×D); γ, β (D), inv_std (N), mean (2×N).
  virtual void layer_norm_forward(Matrix<const T> x, Vector<const T> gamma, Vector<const T> beta, T eps, Matrix<T> mean,
                                  Vector<T> inv_std, Matrix<T> y) = 0;
  /// dβ = Σₙ δ,  dγ = Σₙ δ∘x̂;  with g = γ∘δ, row by row dx = s·(g − mean(g) − x̂·mean(g∘x̂)). dx may be null.
  virtual void layer_norm_backward(Matrix<const T> x, Matrix<const T> dy, Vector<const T> gamma, Matrix<const T> mean,
                                   Vector<const T> inv_std, Gradient<T> dgamma, Gradient<T> dbeta, Matrix<T> dx) = 0;
  /// The same for x (N×C×L), seen along its channels: y = γ_c·x̂ + β_c. Normalised together are, with `groups` = 0, all
  /// N·L elements of a channel (BatchNorm; `running` and `of_batch` as above), else the elements of C/groups channels
  /// of one example (GroupNorm). For S such sets: mean (2×S), inv_std (S).
  virtual void channel_norm_forward(Lines<const T> x, std::size_t groups, Vector<const T> gamma, Vector<const T> beta,
                                    T eps, const RunningStatistics<T>& running, bool of_batch, Matrix<T> mean,
                                    Vector<T> inv_std, Vector<T> y) = 0;
  /// dβ_c = Σ δ,  dγ_c = Σ δ·x̂ over channel c;  with g = γ·δ, set by set dx = s·(g − mean(g) − x̂·mean(g∘x̂)), without
  /// the two means unless `of_batch`. dx may be null.
  virtual void channel_norm_backward(Lines<const T> x, std::size_t groups, Vector<const T> dy, Vector<const T> gamma,
                                     Matrix<const T> mean, Vector<const T> inv_std, bool of_batch, Gradient<T> dgamma,
                                     Gradient<T> dbeta, Vector<T> dx) = 0;
  /// y = γ∘x·r, r = 1/√(mean(x²) + ε), for each row of x (N×D); γ (D), inv_rms = r (N).
  virtual void rms_norm_forward(Matrix<const T> x, Vector<const T> gamma, T eps, Vector<T> inv_rms, Matrix<T> y) = 0;
  /// dγ = Σₙ δ∘x̂ with x̂ = x·r;  with g = γ∘δ, row by row dx = r·(g − x̂·mean(g∘x̂)). dx may be null.
  virtual void rms_norm_backward(Matrix<const T> x, Matrix<const T> dy, Vector<const T> gamma, Vector<const T> inv_rms,
                                 Gradient<T> dgamma, Matrix<T> dx) = 0;
};

/// On device D: cpu/norms.cpp, cuda/norms.cu.
template <class D, class T>
class NormsOn final : public Norms<T> {
 public:
  explicit NormsOn(D& device) : device_(device) {}
  void batch_norm_forward(Matrix<const T> x, Vector<const T> gamma, Vector<const T> beta, T eps,
                          const RunningStatistics<T>& running, bool of_batch, Matrix<T> mean, Vector<T> inv_std,
                          Matrix<T> y) override;
  void batch_norm_backward(Matrix<const T> x, Matrix<const T> dy, Vector<const T> gamma, Matrix<const T> mean,
                           Vector<const T> inv_std, bool of_batch, Matrix<T> sums, Gradient<T> dgamma,
                           Gradient<T> dbeta, Matrix<T> dx) override;
  void batch_norm_part(Matrix<const T> x, Matrix<T> mean, Vector<double> part) override;
  void batch_norm_apply(Matrix<const T> x, Vector<const T> gamma, Vector<const T> beta, Matrix<const T> mean,
                        Vector<const T> inv_std, Matrix<T> y) override;
  void batch_norm_apply_backward(Matrix<const T> x, Matrix<const T> dy, Vector<const T> gamma, Matrix<const T> mean,
                                 Vector<const T> inv_std, Matrix<const T> means, Matrix<T> dx) override;
  void layer_norm_forward(Matrix<const T> x, Vector<const T> gamma, Vector<const T> beta, T eps, Matrix<T> mean,
                          Vector<T> inv_std, Matrix<T> y) override;
  void layer_norm_backward(Matrix<const T> x, Matrix<const T> dy, Vector<const T> gamma, Matrix<const T> mean,
                           Vector<const T> inv_std, Gradient<T> dgamma, Gradient<T> dbeta, Matrix<T> dx) override;
  void channel_norm_forward(Lines<const T> x, std::size_t groups, Vector<const T> gamma, Vector<const T> beta, T eps,
                            const RunningStatistics<T>& running, bool of_batch, Matrix<T> mean, Vector<T> inv_std,
                            Vector<T> y) override;
  void channel_norm_backward(Lines<const T> x, std::size_t groups, Vector<const T> dy, Vector<const T> gamma,
                             Matrix<const T> mean, Vector<const T> inv_std, bool of_batch, Gradient<T> dgamma,
                             Gradient<T> dbeta, Vector<T> dx) override;
  void rms_norm_forward(Matrix<const T> x, Vector<const T> gamma, T eps, Vector<T> inv_rms, Matrix<T> y) override;
  void rms_norm_backward(Matrix<const T> x, Matrix<const T> dy, Vector<const T> gamma, Vector<const T> inv_rms,
                         Gradient<T> dgamma, Matrix<T> dx) override;

 private:
  [[maybe_unused]] D& device_;
};

}  // namespace handgrad::kernels
