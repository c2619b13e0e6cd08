#include "handgrad/distributed/sync_batch_norm.hpp"

#include <algorithm>
#include <cmath>
#include <utility>

#include "handgrad/base/backend.hpp"
#include "handgrad/base/format.hpp"
#include "handgrad/base/views.hpp"

namespace handgrad {

// Of layers that run in this thread.
static std::uint64_t next_turn() {
  static thread_local std::uint64_t turn = 0;
  return ++turn;
}

template <class T>
void SyncBatchNorm<T>::forward_into(const Tensor<T>& x, Tensor<T>& y) {
  const std::size_t C = num_features_;
  auto& norms = backend<T>(x.device()).norms;
  mean_ = inv_std_ = Tensor<T>();
  statistics_.reserve({4, C}, x.device());
  mean_ = statistics_.rows(0, 2);
  inv_std_ = statistics_.rows(2, 3);
  of_batch_ = sums();
  if (!of_batch_) {
    const kernels::RunningStatistics<T> running{running_mean.value().data(), running_var.value().data()};
    norms.batch_norm_forward(view::matrix(x), view::vector(weight), view::vector(bias), static_cast<T>(options_.eps),
                             running, false, view::matrix(mean_), view::vector(inv_std_), view::matrix(y));
    return;
  }
  forward_turn_ = next_turn();
  statistics_of_all(&x);
  if (this->is_training() && options_.track_running_stats) remember();
  norms.batch_norm_apply(view::matrix(x), view::vector(weight), view::vector(bias), view::matrix(std::as_const(mean_)),
                         view::vector(std::as_const(inv_std_)), view::matrix(y));
}

/// N·µ = Σᵣ Nᵣ·µᵣ,  N·σ² = Σᵣ (Mᵣ + Nᵣ·(µᵣ − µ)²)
template <class T>
void SyncBatchNorm<T>::statistics_of_all(const Tensor<T>* x) {
  const std::size_t C = num_features_, line = 1 + 2 * C;
  // A line for each rank, Nᵣ µᵣ Mᵣ: each fills in its own, and a sum with zeros brings them all to all.
  table_.assign(line * static_cast<std::size_t>(communicator_->size()), 0);
  if (x) {
    part_.reserve({line}, x->device());
    backend<T>(x->device()).norms.batch_norm_part(view::matrix(*x), view::matrix(mean_), view::vector(part_));
    const Tensor<double> part = part_.cpu();
    std::copy_n(part.data(), line, table_.begin() + static_cast<std::ptrdiff_t>(line) * communicator_->rank());
  }
  communicator_->all_reduce(std::span<double>(table_));

  rows_ = 0;
  for (std::size_t at = 0; at < table_.size(); at += line) rows_ += table_[at];
  if (rows_ == 0) return;  // on no rank a batch
  if (rows_ < 2)
    throw ShapeError(this->label() + ": one row on all ranks together has no variance: at least 2 expected");
  host_.reserve({4, C}, Device::cpu());
  T *mean = host_.data(), *rest = mean + C, *inv_std = rest + C, *unbiased = inv_std + C;
  for (std::size_t c = 0; c < C; ++c) {
    double sum = 0, square = 0;
    for (std::size_t at = 0; at < table_.size(); at += line) sum += table_[at] * table_[at + 1 + c];
    const double mu = sum / rows_;
    for (std::size_t at = 0; at < table_.size(); at += line) {
      const double from_mean = table_[at + 1 + c] - mu;
      square += table_[at + 1 + C + c] + table_[at] * from_mean * from_mean;
    }
    square = square < 0 ? 0 : square;
    mean[c] = static_cast<T>(mu);
    rest[c] = static_cast<T>(mu - static_cast<double>(mean[c]));
    inv_std[c] = static_cast<T>(1 / std::sqrt(square / rows_ + options_.eps));
    unbiased[c] = static_cast<T>(square / (rows_ - 1));
  }
  statistics_.copy_from(host_);
}

/// r ← (1−a)·r + a·(µ, σ²·N/(N−1))
template <class T>
void SyncBatchNorm<T>::remember() {
  const double count = num_batches_tracked.value().item() + 1;
  num_batches_tracked.value().fill(count);
  const T a = static_cast<T>(options_.momentum.value_or(1 / count));
  auto& elements = backend<T>(statistics_.device()).elements;
  const Tensor<T> mean = statistics_.rows(0, 1), unbiased = statistics_.rows(3, 4);
  elements.scale(view::vector(running_mean.value()), 1 - a);
  elements.add(view::vector(running_mean.value()), a, view::vector(mean));
  elements.scale(view::vector(running_var.value()), 1 - a);
  elements.add(view::vector(running_var.value()), a, view::vector(unbiased));
}

template <class T>
void SyncBatchNorm<T>::backward_into(const Tensor<T>& x, const Tensor<T>&, const Tensor<T>& dy, Tensor<T>& dx) {
  const std::size_t C = num_features_;
  auto& norms = backend<T>(x.device()).norms;
  const auto mean = view::matrix(std::as_const(mean_));
  const auto inv_std = view::vector(std::as_const(inv_std_));
  // dβ = Σₙ δ and dγ = Σₙ δ∘x̂ over the rank's own rows; with the running statistics dx = γ·s·δ, too.
  sums_.reserve({2, C}, x.device());
  const bool here = !of_batch_ && this->requires_input_grad();
  norms.batch_norm_backward(view::matrix(x), view::matrix(dy), view::vector(weight), mean, inv_std, false,
                            view::matrix(sums_), view::gradient(weight), view::gradient(bias),
                            here ? view::matrix(dx) : kernels::Matrix<T>{});
  if (!of_batch_) return;
  backward_turn_ = next_turn();

  // dx = γ·s·(δ − a − x̂·b), with the sums of all ranks: all take part, whether they want dx or not.
  const Tensor<T> own = sums_.cpu();
  const double weight_of_rank = communicator_->loss_weight();
  all_sums_.resize(2 * C);
  for (std::size_t i = 0; i < 2 * C; ++i) all_sums_[i] = weight_of_rank * static_cast<double>(own.data()[i]);
  communicator_->all_reduce(std::span<double>(all_sums_));
  if (!this->requires_input_grad()) return;
  Tensor<T> means = host_.rows(0, 2);
  for (std::size_t i = 0; i < 2 * C; ++i) means.data()[i] = static_cast<T>(all_sums_[i] / (rows_ * weight_of_rank));
  sums_.copy_from(means);
  norms.batch_norm_apply_backward(view::matrix(x), view::matrix(dy), view::vector(weight), mean, inv_std,
                                  view::matrix(std::as_const(sums_)), view::matrix(dx));
}

template <class T>
void SyncBatchNorm<T>::forward_without_rows(std::vector<SyncBatchNorm*>& layers) {
  std::sort(layers.begin(), layers.end(), [](auto* a, auto* b) { return a->forward_turn_ < b->forward_turn_; });
  for (SyncBatchNorm* layer : layers) {
    if (!layer->sums()) continue;
    const auto& running = layer->running_mean;
    layer->statistics_.reserve({4, layer->num_features_},
                               layer->options_.track_running_stats ? running.value().device() : Device::cpu());
    layer->statistics_of_all(nullptr);
    if (layer->rows_ > 0 && layer->is_training() && layer->options_.track_running_stats) layer->remember();
  }
}

template <class T>
void SyncBatchNorm<T>::backward_without_rows(std::vector<SyncBatchNorm*>& layers) {
  std::sort(layers.begin(), layers.end(), [](auto* a, auto* b) { return a->backward_turn_ < b->backward_turn_; });
  for (SyncBatchNorm* layer : layers) {
    if (!layer->sums()) continue;
    layer->all_sums_.assign(2 * layer->num_features_, 0);
    layer->communicator_->all_reduce(std::span<double>(layer->all_sums_));
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
