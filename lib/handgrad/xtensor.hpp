#pragma once
// The bridge between Tensor and xtensor: the only header of handgrad that includes xtensor's.
#include <algorithm>
#include <array>
#include <vector>
#if __has_include(<xtensor/containers/xadapt.hpp>)  // xtensor 0.26 moved its headers
#include <xtensor/containers/xadapt.hpp>
#include <xtensor/core/xmath.hpp>
#include <xtensor/core/xnoalias.hpp>
#else
#include <xtensor/xadapt.hpp>
#include <xtensor/xmath.hpp>
#include <xtensor/xnoalias.hpp>
#endif

#include "handgrad/tensor.hpp"

namespace handgrad {

template <class T>
template <detail::XtensorExpression E>
Tensor<T>::Tensor(const E& expression) {
  const auto& sizes = expression.shape();
  *this = empty(Shape(sizes.begin(), sizes.end()));
  xt::noalias(xt()) = xt::cast<T>(expression);
}

template <class T>
auto Tensor<T>::xt() {
  on_cpu("xt()", rank());
  return xt::adapt(data_, numel_, xt::no_ownership(), std::vector<std::size_t>(shape_.begin(), shape_.end()));
}

template <class T>
auto Tensor<T>::xt() const {
  on_cpu("xt()", rank());
  return xt::adapt(data(), numel_, xt::no_ownership(), std::vector<std::size_t>(shape_.begin(), shape_.end()));
}

template <class T>
template <std::size_t N>
auto Tensor<T>::xt() {
  on_cpu("xt()", N);
  std::array<std::size_t, N> sizes{};
  std::copy(shape_.begin(), shape_.end(), sizes.begin());
  return xt::adapt(data_, numel_, xt::no_ownership(), sizes);
}

template <class T>
template <std::size_t N>
auto Tensor<T>::xt() const {
  on_cpu("xt()", N);
  std::array<std::size_t, N> sizes{};
  std::copy(shape_.begin(), shape_.end(), sizes.begin());
  return xt::adapt(data(), numel_, xt::no_ownership(), sizes);
}

}  // namespace handgrad
