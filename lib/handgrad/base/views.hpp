#pragma once
// Tensors and gradients as kernels take them: addresses and sizes (kernels/view.hpp). Not installed: for the library's
// own sources. The view of an undefined tensor has a null address, which kernels take as "none".
#include "handgrad/base/tensor.hpp"
#include "kernels/view.hpp"

namespace handgrad {

template <class T>
class Parameter;

namespace view {

template <class T>
kernels::Vector<T> vector(Tensor<T>& x) {
  return {x.data(), x.numel()};
}
template <class T>
kernels::Vector<const T> vector(const Tensor<T>& x) {
  return {x.data(), x.numel()};
}
template <class T>
kernels::Vector<const T> vector(const Parameter<T>& x) {
  return vector(x.value());
}
/// None if x is null.
template <class T>
kernels::Vector<const T> vector(const Tensor<T>* x) {
  return x ? vector(*x) : kernels::Vector<const T>();
}

/// As a matrix of `rows` rows, at least one.
template <class T>
kernels::Matrix<T> rows_of(Tensor<T>& x, std::size_t rows) {
  return {x.data(), rows, x.numel() / rows};
}
template <class T>
kernels::Matrix<const T> rows_of(const Tensor<T>& x, std::size_t rows) {
  return {x.data(), rows, x.numel() / rows};
}

/// All dimensions but the last are rows; a vector is one row.
template <class T>
kernels::Matrix<T> matrix(Tensor<T>& x) {
  return {x.data(), x.shape().rows(), x.shape().columns()};
}
template <class T>
kernels::Matrix<const T> matrix(const Tensor<T>& x) {
  return {x.data(), x.shape().rows(), x.shape().columns()};
}
template <class T>
kernels::Matrix<const T> matrix(const Parameter<T>& x) {
  return matrix(x.value());
}

/// Along dimension `dim`, counted from the front.
template <class T>
kernels::Lines<T> lines(Tensor<T>& x, int dim) {
  kernels::Lines<T> lines{x.data(), 1, x.size(dim), 1};
  for (int i = 0; i < dim; ++i) lines.outer *= x.size(i);
  for (int i = dim + 1; i < static_cast<int>(x.rank()); ++i) lines.inner *= x.size(i);
  return lines;
}
template <class T>
kernels::Lines<const T> lines(const Tensor<T>& x, int dim) {
  return lines(const_cast<Tensor<T>&>(x), dim);
}

/// Where the parameter's gradient accumulates (`Parameter::accumulate`): call once for each accumulation. Null for an
/// undefined or a frozen parameter.
template <class T>
kernels::Gradient<T> gradient(Parameter<T>& parameter) {
  if (!parameter.defined() || !parameter.requires_grad()) return {};
  auto [grad, beta] = parameter.accumulate();
  return {grad.data(), beta};
}

}  // namespace view
}  // namespace handgrad
