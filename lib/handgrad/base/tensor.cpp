#include "handgrad/base/tensor.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <utility>

#include "handgrad/base/backend.hpp"
#include "handgrad/base/errors.hpp"
#include "handgrad/base/views.hpp"

namespace handgrad {

namespace detail {

/// One block of a device's memory, or, with an owner, one of the CPU's that is that owner's.
struct Storage {
  Storage(Device on, std::size_t size) : device(on), bytes(size), address(memory(on).allocate(size)) {}
  Storage(void* borrowed, std::size_t size, std::shared_ptr<const void> whose)
      : bytes(size), address(borrowed), owner(std::move(whose)) {}
  Storage(const Storage&) = delete;
  ~Storage() {
    if (!owner) memory(device).deallocate(address, bytes);
  }
  Device device;
  std::size_t bytes;
  void* address;
  std::shared_ptr<const void> owner;
};

namespace {

// The shape of a nested list, from its first elements; `flatten` checks the others against it.
void measure(const std::vector<Nested>& list, Shape& shape) {
  shape.push_back(list.size());
  if (!list.empty() && list.front().is_list()) measure(list.front().list(), shape);
}

template <class T>
void flatten(const std::vector<Nested>& list, const Shape& shape, std::size_t depth, T*& out) {
  const std::size_t expected = shape[static_cast<int>(depth)];
  if (list.size() != expected)
    throw ShapeError("nested braces: a list of " + std::to_string(list.size()) + " where the lists before it have " +
                     std::to_string(expected) + " elements");
  for (const Nested& element : list) {
    if (element.is_list() != (depth + 1 < shape.rank()))
      throw ShapeError("nested braces: numbers and lists side by side at depth " + std::to_string(depth + 1));
    if (element.is_list())
      flatten(element.list(), shape, depth + 1, out);
    else
      *out++ = static_cast<T>(element.number());
  }
}

std::size_t checked_bytes(const Shape& shape, std::size_t element) {
  if (std::find(shape.begin(), shape.end(), 0u) != shape.end()) return 0;
  std::size_t bytes = element;
  for (std::size_t size : shape) {
    if (bytes > std::numeric_limits<std::ptrdiff_t>::max() / size)
      throw ShapeError("shape " + shape.str() + " has more elements than memory can hold");
    bytes *= size;
  }
  return bytes;
}

}  // namespace
}  // namespace detail

template <class T>
Tensor<T> Tensor<T>::empty(const Shape& shape, Device device) {
  Tensor x;
  x.reserve(shape, device);
  return x;
}

template <class T>
Tensor<T> Tensor<T>::borrow(T* elements, const Shape& shape, std::shared_ptr<const void> owner) {
  if (!owner) throw ValueError("Tensor::borrow: an owner expected, a null pointer came");
  Tensor x;
  x.storage_ = std::make_shared<detail::Storage>(elements, detail::checked_bytes(shape, sizeof(T)), std::move(owner));
  x.data_ = elements;
  x.shape_ = shape;
  x.numel_ = shape.numel();
  return x;
}

template <class T>
Tensor<T>::Tensor(std::initializer_list<detail::Nested> list) : Tensor() {
  Shape shape;
  const std::vector<detail::Nested> nested(list);
  detail::measure(nested, shape);
  *this = empty(shape);
  T* out = data_;
  detail::flatten(nested, shape, 0, out);
}

template <class T>
Tensor<T>::Tensor(const Shape& shape, const std::vector<T>& elements) : Tensor(empty(shape)) {
  if (elements.size() != numel_)
    throw ShapeError("shape " + shape.str() + " has " + std::to_string(numel_) + " elements, " +
                     std::to_string(elements.size()) + " were given");
  std::copy(elements.begin(), elements.end(), data_);
}

template <class T>
void Tensor<T>::reserve(const Shape& shape, Device device) {
  const bool alone = storage_ && storage_.use_count() == 1 && data_ == storage_->address && device_ == device;
  if (alone && shape_ == shape) return;
  const std::size_t bytes = detail::checked_bytes(shape, sizeof(T));
  if (!alone || storage_->bytes < bytes) {
    storage_ = std::make_shared<detail::Storage>(device, bytes);
    data_ = static_cast<T*>(storage_->address);
    device_ = device;
  }
  shape_ = shape;
  numel_ = shape.numel();
}

template <class T>
T Tensor<T>::item() const {
  if (numel_ != 1)
    throw ShapeError("item(): a tensor of one element expected, this one has shape " + shape_.str() +
                     "; item(i, j, …) reads one of several");
  if (device_.is_cpu()) return *data_;
  T value;
  memory(device_).download(&value, data_, sizeof(T));
  return value;
}

template <class T>
T Tensor<T>::item_at(std::initializer_list<std::size_t> index) const {
  bool inside = index.size() == rank();
  std::size_t offset = 0;
  int dim = 0;
  for (std::size_t i : index) {
    if (!inside) break;
    inside = i < shape_[dim];
    offset = offset * shape_[dim] + i;
    ++dim;
  }
  if (!inside) throw ShapeError("item" + Shape(index).str() + ": no such element in a tensor of shape " + shape_.str());
  T value;
  memory(device_).download(&value, data_ + offset, sizeof(T));
  return value;
}

template <class T>
std::vector<T> Tensor<T>::to_vector() const {
  std::vector<T> elements(numel_);
  if (numel_ > 0) memory(device_).download(elements.data(), data_, numel_ * sizeof(T));
  return elements;
}

template <class T>
Tensor<T> Tensor<T>::rows(std::size_t i, std::size_t j) const {
  if (rank() == 0 || i > j || j > shape_[0])
    throw ShapeError("rows(" + std::to_string(i) + ", " + std::to_string(j) + ") of a tensor of shape " + shape_.str());
  Tensor x = *this;
  const std::size_t row = shape_[0] == 0 ? 0 : numel_ / shape_[0];
  x.shape_[0] = j - i;
  x.data_ = data_ + i * row;
  x.numel_ = (j - i) * row;
  return x;
}

template <class T>
Tensor<T> Tensor<T>::reshape(const Shape& shape) const {
  detail::checked_bytes(shape, sizeof(T));  // an overflowing product could equal numel_
  if (shape.numel() != numel_)
    throw ShapeError("reshape to " + shape.str() + " (" + std::to_string(shape.numel()) +
                     " elements) of a tensor of shape " + shape_.str() + " (" + std::to_string(numel_) + " elements)");
  Tensor x = *this;
  x.shape_ = shape;
  return x;
}

template <class T>
Tensor<T> Tensor<T>::clone() const {
  if (!defined()) return *this;
  return empty(shape_, device_).copy_from(*this);
}

template <class T>
Tensor<T> Tensor<T>::to(Device device) const {
  if (device == device_ || !defined()) return *this;
  return empty(shape_, device).copy_from(*this);
}

template <class T>
Tensor<T>& Tensor<T>::fill(T value) {
  if (numel_ > 0) backend<T>(device_).elements.fill(view::vector(*this), value);
  return *this;
}

template <class T>
Tensor<T>& Tensor<T>::copy_from(const Tensor& source) {
  if (!(shape_ == source.shape_))
    throw ShapeError("copy_from: a tensor of shape " + shape_.str() + " expected, one of shape " + source.shape_.str() +
                     " came");
  const std::size_t bytes = numel_ * sizeof(T);
  if (bytes == 0) return *this;
  if (source.device_.is_cpu())
    memory(device_).upload(data_, source.data_, bytes);
  else if (device_.is_cpu())
    memory(source.device_).download(data_, source.data_, bytes);
  else if (device_ == source.device_)
    memory(device_).copy(data_, source.data_, bytes);
  else
    memory(device_).upload(data_, source.cpu().data_, bytes);  // between GPUs, by way of the host
  return *this;
}

template <class T>
const Tensor<T>& Tensor<T>::on_cpu(const char* what, std::size_t expected_rank) const {
  if (!device_.is_cpu())
    throw DeviceError(std::string(what) + ": the elements are on " + device_.str() + "; x.cpu() brings them over");
  if (expected_rank != rank())
    throw ShapeError("xt<" + std::to_string(expected_rank) + ">() of a tensor of shape " + shape_.str());
  return *this;
}

template <class T>
bool operator==(const Tensor<T>& a, const Tensor<T>& b) {
  return a.shape() == b.shape() && a.to_vector() == b.to_vector();
}

template <class T>
bool allclose(const Tensor<T>& a, const Tensor<T>& b, double rtol, double atol) {
  if (!(a.shape() == b.shape())) throw ShapeError("allclose of shapes " + a.shape().str() + " and " + b.shape().str());
  const std::vector<T> u = a.to_vector(), v = b.to_vector();
  for (std::size_t i = 0; i < u.size(); ++i) {
    const double x = u[i], y = v[i];
    if (x != y && !(std::abs(x - y) <= atol + rtol * std::abs(y))) return false;
    if (std::isinf(y) && x != y) return false;
  }
  return true;
}

template <class T>
Tensor<T> linspace(T start, T end, std::size_t steps) {
  Tensor<T> x = Tensor<T>::empty({steps});
  const T step = steps > 1 ? (end - start) / static_cast<T>(steps - 1) : T(0);
  for (std::size_t i = 0; i < steps; ++i)
    x.data()[i] =
        i < steps / 2 || steps == 1 ? start + step * static_cast<T>(i) : end - step * static_cast<T>(steps - 1 - i);
  return x;
}

template <class T>
Tensor<T> matmul(const Tensor<T>& a, const Tensor<T>& b) {
  if (a.rank() != 2 || b.rank() != 2 || a.size(1) != b.size(0))
    throw ShapeError("matmul: (m, k) by (k, n) expected, " + a.shape().str() + " by " + b.shape().str() + " came");
  if (a.device() != b.device())
    throw DeviceError("matmul: one factor on " + a.device().str() + ", the other on " + b.device().str());
  Tensor<T> c = Tensor<T>::empty({a.size(0), b.size(1)}, a.device());
  backend<T>(a.device()).products.matmul(view::matrix(a), false, view::matrix(b), false, T(0), view::matrix(c));
  return c;
}

#define HANDGRAD_INSTANTIATE(T)                                               \
  template class Tensor<T>;                                                   \
  template bool operator==(const Tensor<T>&, const Tensor<T>&);               \
  template bool allclose(const Tensor<T>&, const Tensor<T>&, double, double); \
  template Tensor<T> linspace(T, T, std::size_t);                             \
  template Tensor<T> matmul(const Tensor<T>&, const Tensor<T>&);
HANDGRAD_INSTANTIATE(float)
HANDGRAD_INSTANTIATE(double)
#undef HANDGRAD_INSTANTIATE

}  // namespace handgrad
