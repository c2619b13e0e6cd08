#pragma once
// NumPy arrays and tensors, without a copy in either direction.
#include <nanobind/nanobind.h>
#include <nanobind/ndarray.h>
#include <nanobind/stl/optional.h>

#include <memory>
#include <optional>
#include <vector>

#include "handgrad/base/errors.hpp"
#include "handgrad/base/tensor.hpp"

namespace handgrad::python {

namespace nb = nanobind;

template <class T>
using Array = nb::ndarray<nb::numpy, T>;
/// What comes in: the binding has seen to it that it is contiguous and of this type.
template <class T>
using ConstArray = nb::ndarray<const T, nb::numpy, nb::c_contig, nb::device::cpu>;

template <class A>
Shape shape_of(const A& array) {
  if (array.ndim() > Shape::max_rank)
    throw ShapeError("an array of " + std::to_string(array.ndim()) + " dimensions; there are at most 4");
  Shape shape;
  for (std::size_t i = 0; i < array.ndim(); ++i) shape.push_back(array.shape(i));
  return shape;
}

/// The array's elements as a tensor, which keeps the array.
template <class T>
Tensor<T> borrowed(const ConstArray<T>& array) {
  const Shape shape = shape_of(array);
  if (array.size() == 0) return Tensor<T>::empty(shape);
  return Tensor<T>::borrow(const_cast<T*>(array.data()), shape, std::make_shared<ConstArray<T>>(array));
}

/// A copy, which nobody else writes to.
template <class T>
Tensor<T> copied(const ConstArray<T>& array) {
  return borrowed(array).clone();
}

/// The tensor's elements as an array, which keeps the tensor.
template <class T>
Array<T> viewed(const Tensor<T>& tensor) {
  auto handle = std::make_unique<Tensor<T>>(tensor.cpu());
  T* const elements = handle->data();
  const std::vector<std::size_t> sizes(handle->shape().begin(), handle->shape().end());
  const nb::capsule owner(handle.get(), [](void* address) noexcept { delete static_cast<Tensor<T>*>(address); });
  handle.release();
  return Array<T>(elements, sizes.size(), sizes.data(), owner);
}

/// None for a tensor that is not there.
template <class T>
std::optional<Array<T>> viewed_if_defined(const Tensor<T>& tensor) {
  return tensor.defined() ? std::optional(viewed(tensor)) : std::nullopt;
}

}  // namespace handgrad::python
