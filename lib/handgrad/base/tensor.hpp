#pragma once
#include <cstddef>
#include <initializer_list>
#include <iosfwd>
#include <memory>
#include <string>
#include <type_traits>
#include <vector>

#include "handgrad/base/device.hpp"
#include "handgrad/base/shape.hpp"

namespace xt {
template <class D>
class xexpression;
}

namespace handgrad {

namespace detail {

/// The content of the braces in `Tensor<float> x{{0, 0}, {0, 1}}`: a number, or a list of these. With one recursive
/// type, `{{0}, {1}}` is a 2×1 tensor and not ambiguous.
class Nested {
 public:
  template <class N>
  requires std::is_arithmetic_v<N> Nested(N number) : number_(static_cast<double>(number)) {}
  Nested(std::initializer_list<Nested> list) : is_list_(true), list_(list) {}

  bool is_list() const { return is_list_; }
  double number() const { return number_; }
  const std::vector<Nested>& list() const { return list_; }

 private:
  bool is_list_ = false;
  double number_ = 0;
  std::vector<Nested> list_;
};

template <class D>
std::true_type is_xexpression(const xt::xexpression<D>*);
std::false_type is_xexpression(...);
template <class E>
concept XtensorExpression = decltype(is_xexpression(std::declval<std::remove_cvref_t<E>*>()))::value;

struct Storage;

}  // namespace detail

/// A handle to contiguous row-major elements of type T (float or double), of rank 0 to 4, on a device.
///
/// Copying a handle shares the elements, as a Python name does; `clone()` copies them. `rows` and `reshape` are views
/// without a copy. On the CPU `x.xt()` is an xtensor adaptor, for mathematics in xtensor's notation:
///
///     Tensor<float> x{{1, 2}, {3, 4}};
///     Tensor<float> y = xt::exp(x.xt()) / 2;
///
/// (`xt()` and construction from an expression are defined in handgrad/base/xtensor.hpp, which handgrad.hpp includes.)
template <class T>
class Tensor {
  static_assert(std::is_same_v<T, float> || std::is_same_v<T, double>, "Tensor<T>: T is float or double");

 public:
  using value_type = T;

  /// No elements, shape (0,).
  Tensor() { shape_.push_back(0); }
  /// From nested braces: `{1, 2, 3}` has shape (3,), `{{1}, {2}}` shape (2, 1). Throws ShapeError for ragged lists.
  Tensor(std::initializer_list<detail::Nested> list);
  /// The values of any xtensor expression, in its shape.
  template <detail::XtensorExpression E>
  Tensor(const E& expression);
  /// From elements in row-major order. Throws ShapeError unless there are as many as the shape has.
  Tensor(const Shape& shape, const std::vector<T>& elements);
  /// Uninitialised elements.
  static Tensor empty(const Shape& shape, Device device = Device::cpu());
  /// Elements in the CPU's memory that belong to somebody else, without a copy. `owner` is kept for as long as a handle
  /// to them is, and must not be null.
  static Tensor borrow(T* elements, const Shape& shape, std::shared_ptr<const void> owner);

  const Shape& shape() const { return shape_; }
  std::size_t size(int dim) const { return shape_[dim]; }
  /// The number of dimensions and of elements, and where they lie.
  std::size_t rank() const { return shape_.rank(); }
  std::size_t numel() const { return numel_; }
  Device device() const { return device_; }
  /// False for a default-constructed tensor, which has no elements.
  bool defined() const { return data_ != nullptr; }

  /// The first element's address, in the device's memory.
  T* data() { return data_; }
  const T* data() const { return data_; }

  /// An xtensor view of the elements (no copy), of any rank or, as the faster `xt<N>()`, of rank N; const for a const
  /// tensor. Valid while any handle to the elements lives. Throws DeviceError unless they are on the CPU, ShapeError
  /// unless the rank is N.
  auto xt();
  auto xt() const;
  template <std::size_t N>
  auto xt();
  template <std::size_t N>
  auto xt() const;

  /// The element of a one-element tensor, on any device. Throws ShapeError for any other number of elements.
  T item() const;
  /// The element at an index: `x.item(1, 2)`. Throws ShapeError for a wrong number of indices or one out of range.
  template <class... I>
  requires(sizeof...(I) > 0) T item(I... index)
  const { return item_at({static_cast<std::size_t>(index)...}); }
  /// All elements, in row-major order.
  std::vector<T> to_vector() const;

  /// Rows i to j−1 (of the first dimension), sharing the elements. Throws ShapeError unless i ≤ j ≤ size(0).
  Tensor rows(std::size_t i, std::size_t j) const;
  /// The same elements in another shape. Throws ShapeError unless it has as many.
  Tensor reshape(const Shape& shape) const;
  /// A copy with elements of its own.
  Tensor clone() const;
  /// The elements on `device`: shared if they are there already, else copied.
  Tensor to(Device device) const;
  Tensor cpu() const { return to(Device::cpu()); }

  /// Sets every element.
  Tensor& fill(T value);
  /// Copies the values of a tensor of the same shape, on any device. Throws ShapeError.
  Tensor& copy_from(const Tensor& source);

  /// Makes this an uninitialised tensor of `shape` on `device` whose elements no other handle shares. Memory that
  /// suffices is kept, so that a buffer resized in a loop allocates only once. For writers of layers.
  void reserve(const Shape& shape, Device device);
  /// Whether no other handle shares these elements (or there are none).
  bool is_unshared() const { return storage_.use_count() <= 1; }
  /// Whether two handles share memory.
  bool shares_with(const Tensor& other) const { return storage_.get() == other.storage_.get() && storage_; }

 private:
  T item_at(std::initializer_list<std::size_t> index) const;
  const Tensor& on_cpu(const char* what, std::size_t rank) const;

  std::shared_ptr<detail::Storage> storage_;
  T* data_ = nullptr;
  std::size_t numel_ = 0;
  Shape shape_;
  Device device_;
};

/// Same shape and same values (NaN differs from itself), on any devices; as torch.equal.
template <class T>
bool operator==(const Tensor<T>& a, const Tensor<T>& b);
/// |a − b| ≤ atol + rtol·|b| for every element; as torch.allclose. Throws ShapeError for two different shapes.
template <class T>
bool allclose(const Tensor<T>& a, const Tensor<T>& b, double rtol = 1e-5, double atol = 1e-8);

/// As PyTorch prints: `tensor([[ 1.5410, -0.2934], …])`, four decimals, aligned, summarised beyond 1000 elements.
template <class T>
std::ostream& operator<<(std::ostream& out, const Tensor<T>& x);

/// A tensor of that shape with one value everywhere.
template <class T = float>
Tensor<T> full(const Shape& shape, T value, Device device = Device::cpu()) {
  return Tensor<T>::empty(shape, device).fill(value);
}
/// A tensor of zeros.
template <class T = float>
Tensor<T> zeros(const Shape& shape, Device device = Device::cpu()) {
  return full<T>(shape, T(0), device);
}
/// A tensor of ones.
template <class T = float>
Tensor<T> ones(const Shape& shape, Device device = Device::cpu()) {
  return full<T>(shape, T(1), device);
}
/// `steps` values from `start` to `end`, both included, computed as torch.linspace does (from both ends inwards).
template <class T = float>
Tensor<T> linspace(T start, T end, std::size_t steps);

/// C = A·B for A (m×k), B (k×n): a new tensor (m×n). Throws ShapeError, DeviceError.
template <class T>
Tensor<T> matmul(const Tensor<T>& a, const Tensor<T>& b);

}  // namespace handgrad
