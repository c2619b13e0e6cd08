#pragma once

#include <cstddef>
#include <optional>
#include <span>

#include "handgrad/base/tensor.hpp"

namespace handgrad {

/// A batch: row i of y, as data sets call it, is the target t of row i of x.
template <class T>
struct Batch {
  Tensor<T> x, y;
};

/// Examples by index. Derive from it for data other than two tensors: generated, augmented or read on demand.
template <class T>
class Dataset {
 public:
  using value_type = T;
  virtual ~Dataset() = default;

  /// The number of examples.
  virtual std::size_t size() const = 0;
  /// The shapes of one example's input and target, without the batch dimension.
  virtual Shape x_shape() const = 0;
  virtual Shape y_shape() const = 0;
  /// Writes example `index` to x and y, on the CPU, of these shapes' sizes.
  virtual void get(std::size_t index, std::span<T> x, std::span<T> y) const = 0;

  /// Where the examples lie. On a GPU they are taken in order as views and shuffled by `gather`.
  virtual Device device() const { return Device::cpu(); }
  /// Writes example rows[i] to row i of the batch, everything on device(). Throws DeviceError unless overridden.
  virtual void gather(const Tensor<double>& rows, Batch<T>& batch) const;
  /// Examples i to j−1 as views without a copy, if possible.
  virtual std::optional<Batch<T>> view(std::size_t i, std::size_t j) const {
    static_cast<void>(i), static_cast<void>(j);
    return std::nullopt;
  }
};

/// Two tensors with equal first dimensions. Keeps the handles without copying the elements.
template <class T>
class TensorDataset : public Dataset<T> {
 public:
  /// Throws ShapeError unless x and y have equally many rows, DeviceError if they lie on different devices.
  TensorDataset(Tensor<T> x, Tensor<T> y);

  std::size_t size() const override { return x_.size(0); }
  Shape x_shape() const override;
  Shape y_shape() const override;
  /// Throws DeviceError for tensors on a GPU, where only whole batches are taken.
  void get(std::size_t index, std::span<T> x, std::span<T> y) const override;
  Device device() const override { return x_.device(); }
  void gather(const Tensor<double>& rows, Batch<T>& batch) const override;
  std::optional<Batch<T>> view(std::size_t i, std::size_t j) const override {
    return Batch<T>{x_.rows(i, j), y_.rows(i, j)};
  }

  const Tensor<T>& x() const { return x_; }
  const Tensor<T>& y() const { return y_; }

 private:
  Tensor<T> x_, y_;
};

}  // namespace handgrad
