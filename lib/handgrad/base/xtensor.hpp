#pragma once
// The bridge between Tensor and xtensor, and the only header that includes xtensor's.
#include <algorithm>
#include <array>
#include <string>
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

#include "handgrad/base/errors.hpp"
#include "handgrad/base/tensor.hpp"

namespace handgrad::detail {

/// The memory under `x.xt()`. Assignment copies the elements; xtensor's own would rebind to the other's memory, and
/// `a.xt() = b.xt()` would change nothing.
template <class T>
class Elements : public xt::xbuffer_adaptor<T*, xt::no_ownership> {
  using Base = xt::xbuffer_adaptor<T*, xt::no_ownership>;

 public:
  using Base::Base;
  using Base::operator=;
  Elements(const Elements&) = default;
  Elements& operator=(const Elements& other) {
    if (this->size() != other.size())
      throw ShapeError("xt(): " + std::to_string(other.size()) + " elements assigned to " +
                       std::to_string(this->size()));
    std::copy(other.begin(), other.end(), this->begin());
    return *this;
  }
};

}  // namespace handgrad::detail

/// xtensor's temporary for an assignment without xt::noalias.
template <class T>
struct xt::temporary_container<handgrad::detail::Elements<T>> {
  using type = xt::uvector<T>;
};

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
  using Adaptor = xt::xarray_adaptor<detail::Elements<T>, xt::layout_type::row_major, std::vector<std::size_t>>;
  return Adaptor(detail::Elements<T>(data_, numel_), {shape_.begin(), shape_.end()});
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
  return xt::xtensor_adaptor<detail::Elements<T>, N>(detail::Elements<T>(data_, numel_), sizes);
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
