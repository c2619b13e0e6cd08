#pragma once

#include <concepts>
#include <cstddef>
#include <iterator>
#include <memory>
#include <optional>
#include <type_traits>
#include <vector>

#include "handgrad/base/random.hpp"
#include "handgrad/data/dataset.hpp"
#include "handgrad/data/distributed_sampler.hpp"

namespace handgrad {

struct DataLoaderOptions {
  std::size_t batch_size = 1;
  bool shuffle = false;                   ///< a new random order for each epoch
  bool drop_last = false;                 ///< leave out a last batch that is not full
  Generator* generator = nullptr;         ///< draws the order; null: the default generator gives a seed for it
  DistributedSampler* sampler = nullptr;  ///< which examples, in which order: one rank's, of several
  std::optional<Device> device = {};      ///< where the batches are wanted; by default where the data lies
};

/// Cuts a data set into batches; each loop over it is an epoch:
///
///     DataLoader loader(TensorDataset(x, t), {.batch_size = 128, .shuffle = true});
///     for (auto& [x, t] : loader) …
///
/// The same seed gives the same batches as PyTorch's DataLoader. Each epoch draws and drops 64 bits (there the workers'
/// seed); shuffling draws 64 more from the default generator, to seed one for randperm. A generator passed in makes the
/// permutation itself, and another one, unused, at the end of the epoch.
///
/// Examples are gathered into a buffer that the next batch overwrites, so that nothing is allocated per batch and
/// changing a batch does not change the data set; use clone() to keep one. (Views taken in order are copied as one
/// block: 1.4 % of the step of a small network on batches of 128×14, 2.6 % on 128×784.)
///
/// Data that fits on a GPU is fastest there: it is shuffled on the device. From the CPU to a GPU, batches alternate
/// between two buffers: while the GPU computes with one batch, the next is gathered into pinned memory and copied. (A
/// loop that waits for each batch by `item()` gains nothing.)
template <class T>
class DataLoader {
 public:
  /// Throws ValueError for batch_size 0, an empty data set, or one smaller than a batch with drop_last; and for a
  /// sampler of another number of examples or combined with shuffle. The sampler must outlive the loader.
  DataLoader(std::shared_ptr<const Dataset<T>> dataset, DataLoaderOptions options);
  template <std::derived_from<Dataset<T>> D>
  DataLoader(D dataset, DataLoaderOptions options)
      : DataLoader(std::make_shared<const D>(std::move(dataset)), options) {}

  /// The number of batches in an epoch.
  std::size_t size() const;
  std::size_t batch_size() const { return options_.batch_size; }
  /// The rows of an epoch's last batch, which may be fewer.
  std::size_t last_batch_size() const;
  /// The generator passed in, or null.
  Generator* generator() const { return options_.generator; }
  DistributedSampler* sampler() const { return options_.sampler; }
  /// The examples of an epoch: those of the data set, or of the sampler.
  std::size_t examples() const { return options_.sampler ? options_.sampler->size() : dataset_->size(); }
  const Dataset<T>& dataset() const { return *dataset_; }

  class Iterator {
   public:
    using value_type = Batch<T>;
    using difference_type = std::ptrdiff_t;
    using iterator_concept = std::input_iterator_tag;

    Batch<T>& operator*() const { return loader_->batch_; }
    Batch<T>* operator->() const { return &loader_->batch_; }
    Iterator& operator++() {
      ++index_;
      loader_->load(index_);
      return *this;
    }
    void operator++(int) { ++*this; }
    bool operator==(std::default_sentinel_t) const { return index_ == loader_->size(); }

   private:
    friend DataLoader;
    explicit Iterator(DataLoader* loader) : loader_(loader) { loader->load(0); }
    DataLoader* loader_;
    std::size_t index_ = 0;
  };

  /// Begins an epoch. Loops must not be nested: they would share one buffer and order.
  Iterator begin();
  std::default_sentinel_t end() const { return std::default_sentinel; }

 private:
  struct Turns;
  void load(std::size_t index);
  void write(std::size_t first, std::size_t last, T* x, T* y) const;
  void gather(std::size_t first, std::size_t last, const std::optional<Batch<T>>& view);
  void send(std::size_t first, std::size_t last, const std::optional<Batch<T>>& view, Device device);
  Batch<T> room(Device device) const;

  std::shared_ptr<const Dataset<T>> dataset_;
  DataLoaderOptions options_;
  std::vector<std::size_t> order_;  // empty: in order
  Tensor<double> order_there_;      // the same, on the data's GPU
  Batch<T> gathered_;               // room for a full batch on the data's device
  Batch<T> moved_;                  // the same on another device, for data on a GPU
  std::shared_ptr<Turns> turns_;    // from the CPU to a GPU
  Batch<T> batch_;                  // the current batch, a part of one of these
};

template <class D>
DataLoader(D, DataLoaderOptions) -> DataLoader<typename D::value_type>;
template <class D>
DataLoader(std::shared_ptr<D>, DataLoaderOptions) -> DataLoader<typename D::value_type>;

}  // namespace handgrad
