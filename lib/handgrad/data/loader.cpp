#include "handgrad/data/loader.hpp"

#include <algorithm>
#include <numeric>
#include <string>

#include "handgrad/errors.hpp"

namespace handgrad {
namespace {

constexpr std::uint64_t low_63_bits = ~std::uint64_t{0} >> 1;

Shape with_rows(std::size_t rows, const Shape& example) {
  Shape shape{rows};
  for (const std::size_t size : example) shape.push_back(size);
  return shape;
}

/// The first `rows` rows of a buffer, without a new handle when these are all.
template <class T>
Batch<T> part(const Batch<T>& buffer, std::size_t rows) {
  if (rows == buffer.x.size(0)) return buffer;
  return {buffer.x.rows(0, rows), buffer.y.rows(0, rows)};
}

}  // namespace

template <class T>
DataLoader<T>::DataLoader(std::shared_ptr<const Dataset<T>> dataset, DataLoaderOptions options)
    : dataset_(std::move(dataset)), options_(options) {
  if (!dataset_) throw ValueError("DataLoader: no data set");
  if (options_.batch_size == 0) throw ValueError("DataLoader: batch_size of at least 1 expected, got 0");
  if (dataset_->size() == 0) throw ValueError("DataLoader: the data set has no examples");
  if (size() == 0) {
    throw ValueError("DataLoader: with drop_last, " + std::to_string(dataset_->size()) + " examples make no batch of " +
                     std::to_string(options_.batch_size));
  }
}

template <class T>
std::size_t DataLoader<T>::size() const {
  const std::size_t examples = dataset_->size(), batch = options_.batch_size;
  return examples / batch + (!options_.drop_last && examples % batch != 0);
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
  }
  return Iterator(this);
}

template <class T>
void DataLoader<T>::load(std::size_t index) {
  if (index >= size()) {
    // PyTorch's sampler ends an epoch with another permutation, of which it takes nothing.
    if (options_.shuffle && options_.generator) randperm(dataset_->size(), *options_.generator);
    return;
  }
  const std::size_t first = index * options_.batch_size;
  const std::size_t last = std::min(first + options_.batch_size, dataset_->size());

  auto view = order_.empty() ? dataset_->view(first, last) : std::nullopt;
  if (view) {
    batch_ = std::move(*view);
  } else {
    gather(first, last);
  }
  if (!options_.device || batch_.x.device() == *options_.device) return;
  if (!moved_.x.defined()) {
    const std::size_t rows = std::min(options_.batch_size, dataset_->size());
    moved_.x = Tensor<T>::empty(with_rows(rows, dataset_->x_shape()), *options_.device);
    moved_.y = Tensor<T>::empty(with_rows(rows, dataset_->y_shape()), *options_.device);
  }
  Batch<T> moved = part(moved_, last - first);
  moved.x.copy_from(batch_.x);
  moved.y.copy_from(batch_.y);
  batch_ = std::move(moved);
}

template <class T>
void DataLoader<T>::gather(std::size_t first, std::size_t last) {
  if (!gathered_.x.defined()) {
    const std::size_t rows = std::min(options_.batch_size, dataset_->size());
    gathered_.x = Tensor<T>::empty(with_rows(rows, dataset_->x_shape()));
    gathered_.y = Tensor<T>::empty(with_rows(rows, dataset_->y_shape()));
  }
  batch_ = part(gathered_, last - first);
  const std::size_t x_size = batch_.x.numel() / (last - first), y_size = batch_.y.numel() / (last - first);
  for (std::size_t i = first; i < last; ++i) {
    T* x = batch_.x.data() + (i - first) * x_size;
    T* y = batch_.y.data() + (i - first) * y_size;
    dataset_->get(order_.empty() ? i : order_[i], {x, x_size}, {y, y_size});
  }
}

template class DataLoader<float>;
template class DataLoader<double>;

}  // namespace handgrad
