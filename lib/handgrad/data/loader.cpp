#include "handgrad/data/loader.hpp"

#include <algorithm>
#include <array>
#include <string>

#include "handgrad/base/backend.hpp"
#include "handgrad/base/errors.hpp"

namespace handgrad {
namespace {

constexpr std::uint64_t low_63_bits = ~std::uint64_t{0} >> 1;

Shape with_rows(std::size_t rows, const Shape& example) {
  Shape shape{rows};
  for (const std::size_t size : example) shape.push_back(size);
  return shape;
}

/// The first `rows` rows of a buffer, without a new handle if that is all of it.
template <class T>
Batch<T> part(const Batch<T>& buffer, std::size_t rows) {
  if (rows == buffer.x.size(0)) return buffer;
  return {buffer.x.rows(0, rows), buffer.y.rows(0, rows)};
}

}  // namespace

/// The buffers for batches on a GPU and the turn between them; copies of a loader share both.
template <class T>
struct DataLoader<T>::Turns {
  struct Turn {
    Batch<T> batch;
    std::unique_ptr<kernels::Staging> staging;
  };
  std::array<Turn, 2> turns;
  std::size_t now = 0;
};

template <class T>
DataLoader<T>::DataLoader(std::shared_ptr<const Dataset<T>> dataset, DataLoaderOptions options)
    : dataset_(std::move(dataset)), options_(options) {
  if (!dataset_) throw ValueError("DataLoader: no data set");
  if (options_.batch_size == 0) throw ValueError("DataLoader: batch_size of at least 1 expected, got 0");
  if (dataset_->size() == 0) throw ValueError("DataLoader: the data set has no examples");
  if (options_.sampler && options_.shuffle)
    throw ValueError("DataLoader: a sampler, and shuffle: the order is the sampler's (DistributedSamplerOptions)");
  if (options_.sampler && options_.sampler->examples() != dataset_->size())
    throw ValueError("DataLoader: a sampler of " + std::to_string(options_.sampler->examples()) +
                     " examples, the data set has " + std::to_string(dataset_->size()));
  if (size() == 0) {
    throw ValueError("DataLoader: with drop_last, " + std::to_string(examples()) + " examples make no batch of " +
                     std::to_string(options_.batch_size));
  }
}

template <class T>
std::size_t DataLoader<T>::size() const {
  const std::size_t batch = options_.batch_size;
  return examples() / batch + (!options_.drop_last && examples() % batch != 0);
}

template <class T>
std::size_t DataLoader<T>::last_batch_size() const {
  const std::size_t before = (size() - 1) * options_.batch_size;
  return std::min(options_.batch_size, examples() - before);
}

template <class T>
typename DataLoader<T>::Iterator DataLoader<T>::begin() {
  Generator& generator = options_.generator ? *options_.generator : default_generator();
  generator.random64();
  if (options_.shuffle && options_.generator) {
    order_ = randperm(dataset_->size(), generator);
  } else if (options_.shuffle) {
    Generator own(generator.random64() & low_63_bits);
    order_ = randperm(dataset_->size(), own);
  } else if (options_.sampler) {
    order_ = options_.sampler->indices();
  }
  if (!order_.empty() && dataset_->device().is_cuda()) {
    order_there_.reserve({order_.size()}, dataset_->device());
    order_there_.copy_from(Tensor<double>({order_.size()}, {order_.begin(), order_.end()}));
  }
  return Iterator(this);
}

template <class T>
void DataLoader<T>::load(std::size_t index) {
  if (index >= size()) {
    // PyTorch's sampler draws one more, unused, permutation at the end of an epoch.
    if (options_.shuffle && options_.generator) randperm(dataset_->size(), *options_.generator);
    return;
  }
  const std::size_t first = index * options_.batch_size;
  const std::size_t last = std::min(first + options_.batch_size, examples());

  auto view = order_.empty() ? dataset_->view(first, last) : std::nullopt;
  const Device from = view ? view->x.device() : dataset_->device(), to = options_.device.value_or(from);
  if (from.is_cpu() && to.is_cuda()) return send(first, last, view, to);
  if (view && from != to) {
    batch_ = std::move(*view);  // copied below
  } else {
    gather(first, last, view);
  }
  if (batch_.x.device() == to) return;
  if (!moved_.x.defined()) moved_ = room(to);
  Batch<T> moved = part(moved_, last - first);
  moved.x.copy_from(batch_.x);
  moved.y.copy_from(batch_.y);
  batch_ = std::move(moved);
}

template <class T>
Batch<T> DataLoader<T>::room(Device device) const {
  const std::size_t rows = std::min(options_.batch_size, examples());
  return {Tensor<T>::empty(with_rows(rows, dataset_->x_shape()), device),
          Tensor<T>::empty(with_rows(rows, dataset_->y_shape()), device)};
}

template <class T>
void DataLoader<T>::gather(std::size_t first, std::size_t last, const std::optional<Batch<T>>& view) {
  if (!gathered_.x.defined()) gathered_ = room(dataset_->device());
  batch_ = part(gathered_, last - first);
  if (view) {
    batch_.x.copy_from(view->x);
    batch_.y.copy_from(view->y);
  } else if (batch_.x.device().is_cpu()) {
    write(first, last, batch_.x.data(), batch_.y.data());
  } else if (order_.empty()) {
    throw DeviceError("DataLoader: a data set on " + dataset_->device().str() +
                      " without view() cannot be read in order");
  } else {
    dataset_->gather(order_there_.rows(first, last), batch_);
  }
}

/// Gathers the examples one by one on the CPU.
template <class T>
void DataLoader<T>::write(std::size_t first, std::size_t last, T* x, T* y) const {
  const std::size_t x_size = dataset_->x_shape().numel(), y_size = dataset_->y_shape().numel();
  for (std::size_t i = first; i < last; ++i, x += x_size, y += y_size)
    dataset_->get(order_.empty() ? i : order_[i], {x, x_size}, {y, y_size});
}

template <class T>
void DataLoader<T>::send(std::size_t first, std::size_t last, const std::optional<Batch<T>>& view, Device device) {
  if (!turns_) turns_ = std::make_shared<Turns>();
  // Whoever asks for a batch has already queued all GPU work on the last one.
  if (auto& before = turns_->turns[turns_->now].staging) before->release();
  turns_->now = 1 - turns_->now;
  auto& [full, staging] = turns_->turns[turns_->now];
  if (!staging) {
    full = room(device);
    staging = make_staging(device, (full.x.numel() + full.y.numel()) * sizeof(T));
  }
  T *x = static_cast<T*>(staging->host()), *y = x + full.x.numel();
  Batch<T> batch = part(full, last - first);
  if (view) {
    std::copy_n(view->x.data(), batch.x.numel(), x);
    std::copy_n(view->y.data(), batch.y.numel(), y);
  } else {
    write(first, last, x, y);
  }
  const kernels::Staging::Transfer transfers[] = {{batch.x.data(), x, batch.x.numel() * sizeof(T)},
                                                  {batch.y.data(), y, batch.y.numel() * sizeof(T)}};
  staging->send(transfers);
  batch_ = std::move(batch);
}

template class DataLoader<float>;
template class DataLoader<double>;

}  // namespace handgrad
