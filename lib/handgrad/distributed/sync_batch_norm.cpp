#include "handgrad/distributed/sync_batch_norm.hpp"

#include <algorithm>
#include <cmath>

#include "handgrad/base/format.hpp"

namespace handgrad {

template <class T>
void SyncBatchNorm<T>::forward_into(const Tensor<T>& x, Tensor<T>& y) {
  if (!x.device().is_cpu()) throw DeviceError("SyncBatchNorm: not written for " + x.device().str() + " yet");
  const std::size_t C = num_features_;
  of_batch_ = this->is_training() || !options_.track_running_stats;
  mean_.resize(C), variance_.resize(C), inv_std_.resize(C);
  if (of_batch_) {
    statistics_of_all(x);
    if (this->is_training() && options_.track_running_stats) remember();
  } else {
    for (std::size_t c = 0; c < C; ++c) {
      mean_[c] = static_cast<double>(running_mean.value().data()[c]);
      variance_[c] = static_cast<double>(running_var.value().data()[c]);
    }
  }
  for (std::size_t c = 0; c < C; ++c) inv_std_[c] = 1 / std::sqrt(variance_[c] + options_.eps);

  // y = γ·x̂ + β,  x̂ = (x − µ)·s
  for (std::size_t n = 0; n < x.size(0); ++n)
    for (std::size_t c = 0; c < C; ++c) {
      const double normal = (static_cast<double>(x.data()[n * C + c]) - mean_[c]) * inv_std_[c];
      const double scaled = options_.affine ? static_cast<double>(weight.value().data()[c]) * normal +
                                                  static_cast<double>(bias.value().data()[c])
                                            : normal;
      y.data()[n * C + c] = static_cast<T>(scaled);
    }
}

/// N·µ = Σᵣ Nᵣ·µᵣ,  N·σ² = Σᵣ (Mᵣ + Nᵣ·(µᵣ − µ)²)
template <class T>
void SyncBatchNorm<T>::statistics_of_all(const Tensor<T>& x) {
  const std::size_t C = num_features_, N = x.size(0), line = 1 + 2 * C;
  // One line per rank, Nᵣ µᵣ Mᵣ: each fills in its own, and summing with zeros elsewhere gathers all.
  table_.assign(line * static_cast<std::size_t>(communicator_->size()), 0);
  double* own = table_.data() + line * static_cast<std::size_t>(communicator_->rank());
  double *means = own + 1, *squares = own + 1 + C;
  own[0] = static_cast<double>(N);
  for (std::size_t n = 0; n < N; ++n)
    for (std::size_t c = 0; c < C; ++c) means[c] += static_cast<double>(x.data()[n * C + c]);
  for (std::size_t c = 0; c < C; ++c) means[c] /= own[0];
  for (std::size_t n = 0; n < N; ++n)
    for (std::size_t c = 0; c < C; ++c) {
      const double from_mean = static_cast<double>(x.data()[n * C + c]) - means[c];
      squares[c] += from_mean * from_mean;
    }
  communicator_->all_reduce(std::span<double>(table_));

  rows_ = 0;
  for (std::size_t at = 0; at < table_.size(); at += line) rows_ += table_[at];
  if (rows_ < 2)
    throw ShapeError(this->label() + ": one row on all ranks together has no variance: at least 2 expected");
  for (std::size_t c = 0; c < C; ++c) {
    double sum = 0, square = 0;
    for (std::size_t at = 0; at < table_.size(); at += line) sum += table_[at] * table_[at + 1 + c];
    mean_[c] = sum / rows_;
    for (std::size_t at = 0; at < table_.size(); at += line) {
      const double from_mean = table_[at + 1 + c] - mean_[c];
      square += table_[at + 1 + C + c] + table_[at] * from_mean * from_mean;
    }
    variance_[c] = square / rows_;
  }
}

/// r ← (1−a)·r + a·(µ, σ²·N/(N−1))
template <class T>
void SyncBatchNorm<T>::remember() {
  const double count = num_batches_tracked.value().data()[0] += 1;
  const double a = options_.momentum.value_or(1 / count);
  for (std::size_t c = 0; c < num_features_; ++c) {
    T &mean = running_mean.value().data()[c], &var = running_var.value().data()[c];
    mean = static_cast<T>((1 - a) * static_cast<double>(mean) + a * mean_[c]);
    var = static_cast<T>((1 - a) * static_cast<double>(var) + a * variance_[c] * rows_ / (rows_ - 1));
  }
}

template <class T>
void SyncBatchNorm<T>::backward_into(const Tensor<T>& x, const Tensor<T>&, const Tensor<T>& dy, Tensor<T>& dx) {
  const std::size_t C = num_features_, N = x.size(0);
  const auto normal = [&](std::size_t n, std::size_t c) {
    return (static_cast<double>(x.data()[n * C + c]) - mean_[c]) * inv_std_[c];
  };
  // Σₙ δ and Σₙ δ∘x̂ over the rank's own rows: dβ and dγ.
  sums_.assign(2 * C, 0);
  double *a = sums_.data(), *b = sums_.data() + C;
  for (std::size_t n = 0; n < N; ++n)
    for (std::size_t c = 0; c < C; ++c) {
      const double delta = static_cast<double>(dy.data()[n * C + c]);
      a[c] += delta;
      b[c] += delta * normal(n, c);
    }
  const auto add = [](Parameter<T>& parameter, const double* sum) {
    if (!parameter.defined() || !parameter.requires_grad()) return;
    auto [grad, beta] = parameter.accumulate();
    for (std::size_t c = 0; c < grad.numel(); ++c)
      grad.data()[c] = static_cast<T>(sum[c]) + (beta == T(0) ? T(0) : grad.data()[c]);
  };
  add(bias, a);
  add(weight, b);

  // dx = γ·s·(δ − a − x̂·b), with sums over all ranks: all must take part, whether they want dx or not.
  if (of_batch_) {
    const double weight_of_rank = communicator_->loss_weight();
    for (double& sum : sums_) sum *= weight_of_rank;
    communicator_->all_reduce(std::span<double>(sums_));
    for (double& sum : sums_) sum /= rows_ * weight_of_rank;
  } else {
    std::fill(sums_.begin(), sums_.end(), 0.0);
  }
  if (!this->requires_input_grad()) return;
  for (std::size_t n = 0; n < N; ++n)
    for (std::size_t c = 0; c < C; ++c) {
      const double gamma = options_.affine ? static_cast<double>(weight.value().data()[c]) : 1;
      dx.data()[n * C + c] = static_cast<T>(gamma * inv_std_[c] *
                                            (static_cast<double>(dy.data()[n * C + c]) - a[c] - normal(n, c) * b[c]));
    }
}

template <class T>
SyncBatchNorm<T>::SyncBatchNorm(std::size_t num_features, Communicator& communicator, BatchNormOptions options)
    : num_features_(num_features), options_(options), communicator_(&communicator) {
  if (num_features == 0) throw ValueError("SyncBatchNorm(0): at least one feature expected");
  if (!(options.eps >= 0)) throw ValueError("SyncBatchNorm: eps = " + format_number(options.eps) + ", ≥ 0 expected");
  if (options.momentum && !(*options.momentum >= 0 && *options.momentum <= 1))
    throw ValueError("SyncBatchNorm: momentum = " + format_number(*options.momentum) + ", a number in [0, 1] expected");
  if (options.affine) {
    weight = this->register_parameter("weight", ones<T>({num_features}));
    bias = this->register_parameter("bias", zeros<T>({num_features}));
  }
  if (options.track_running_stats) {
    running_mean = this->register_buffer("running_mean", zeros<T>({num_features}));
    running_var = this->register_buffer("running_var", ones<T>({num_features}));
    num_batches_tracked = this->register_counter("num_batches_tracked");
  }
}

template <class T>
Shape SyncBatchNorm<T>::output_shape(const Shape& input) const {
  if (input.rank() != 2 || input.columns() != num_features_)
    throw ShapeError("an input of shape (rows, " + std::to_string(num_features_) + ") expected, one of shape " +
                     input.str() + " came");
  return input;
}

template <class T>
std::string SyncBatchNorm<T>::extra_repr() const {
  return std::to_string(num_features_) + ", eps=" + format_number(options_.eps) +
         ", momentum=" + (options_.momentum ? format_number(*options_.momentum) : "None") +
         ", affine=" + (options_.affine ? "True" : "False") +
         ", track_running_stats=" + (options_.track_running_stats ? "True" : "False");
}

template class SyncBatchNorm<float>;
template class SyncBatchNorm<double>;

}  // namespace handgrad
