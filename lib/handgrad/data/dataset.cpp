#include "handgrad/data/dataset.hpp"

#include <algorithm>

#include "handgrad/base/backend.hpp"
#include "handgrad/base/errors.hpp"
#include "handgrad/base/views.hpp"

namespace handgrad {
namespace {

Shape without_rows(const Shape& shape) { return {shape.begin() + 1, shape.end()}; }

template <class T>
void copy_row(const Tensor<T>& from, std::size_t row, std::span<T> to) {
  std::copy_n(from.data() + row * to.size(), to.size(), to.data());
}

}  // namespace

template <class T>
void Dataset<T>::gather(const Tensor<double>&, Batch<T>&) const {
  throw DeviceError("Dataset: gather(), which shuffled data on " + device().str() + " needs, is not overridden");
}

template <class T>
TensorDataset<T>::TensorDataset(Tensor<T> x, Tensor<T> y) : x_(std::move(x)), y_(std::move(y)) {
  if (x_.rank() == 0 || y_.rank() == 0 || x_.size(0) != y_.size(0)) {
    throw ShapeError("TensorDataset: one row of y for each of x expected, got " + x_.shape().str() + " and " +
                     y_.shape().str());
  }
  if (x_.device() != y_.device()) {
    throw DeviceError("TensorDataset: x lies on " + x_.device().str() + ", y on " + y_.device().str());
  }
}

template <class T>
Shape TensorDataset<T>::x_shape() const {
  return without_rows(x_.shape());
}

template <class T>
Shape TensorDataset<T>::y_shape() const {
  return without_rows(y_.shape());
}

template <class T>
void TensorDataset<T>::get(std::size_t index, std::span<T> x, std::span<T> y) const {
  if (!x_.device().is_cpu()) {
    throw DeviceError("TensorDataset: single examples of tensors on " + x_.device().str() +
                      "; there it gives whole batches, by view() and gather()");
  }
  copy_row(x_, index, x);
  copy_row(y_, index, y);
}

template <class T>
void TensorDataset<T>::gather(const Tensor<double>& rows, Batch<T>& batch) const {
  const std::size_t all = size(), taken = rows.numel();
  if (taken == 0) return;
  auto& k = backend<T>(x_.device()).elements;
  k.gather_rows(view::rows_of(x_, all), view::vector(rows), view::rows_of(batch.x, taken));
  k.gather_rows(view::rows_of(y_, all), view::vector(rows), view::rows_of(batch.y, taken));
}

template class Dataset<float>;
template class Dataset<double>;
template class TensorDataset<float>;
template class TensorDataset<double>;

}  // namespace handgrad
