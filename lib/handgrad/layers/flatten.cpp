#include "handgrad/layers/flatten.hpp"

#include "handgrad/trace/derivation.hpp"

namespace handgrad {
namespace {

int from_0(const Shape& shape, int dim) {
  const int rank = static_cast<int>(shape.rank()), d = dim < 0 ? rank + dim : dim;
  if (d < 0 || d >= rank)
    throw ShapeError("an input with a dimension " + std::to_string(dim) + " expected, one of shape " + shape.str() +
                     " came");
  return d;
}

}  // namespace

// Elements are only copied: y = x, dx = δ
template <class T>
void Flatten<T>::forward_into(const Tensor<T>& x, Tensor<T>& y) {
  y.copy_from(x.reshape(y.shape()));
}
template <class T>
void Flatten<T>::backward_into(const Tensor<T>&, const Tensor<T>&, const Tensor<T>& dy, Tensor<T>& dx) {
  if (this->requires_input_grad()) dx.copy_from(dy.reshape(dx.shape()));
}

template <class T>
void Unflatten<T>::forward_into(const Tensor<T>& x, Tensor<T>& y) {
  y.copy_from(x.reshape(y.shape()));
}
template <class T>
void Unflatten<T>::backward_into(const Tensor<T>&, const Tensor<T>&, const Tensor<T>& dy, Tensor<T>& dx) {
  if (this->requires_input_grad()) dx.copy_from(dy.reshape(dx.shape()));
}

template <class T>
Shape Flatten<T>::output_shape(const Shape& input) const {
  const int start = from_0(input, start_), end = from_0(input, end_);
  if (start > end)
    throw ShapeError("start_dim " + std::to_string(start_) + " comes after end_dim " + std::to_string(end_) +
                     " in an input of shape " + input.str());
  Shape shape;
  for (int d = 0; d < static_cast<int>(input.rank()); ++d)
    if (d > start && d <= end)
      shape[-1] *= input[d];
    else
      shape.push_back(input[d]);
  return shape;
}

template <class T>
std::string Flatten<T>::extra_repr() const {
  return "start_dim=" + std::to_string(start_) + ", end_dim=" + std::to_string(end_);
}

template <class T>
trace::Derivation Flatten<T>::derivation(const Shape&) const {
  return {{{"y = x", trace::Why{"The same numbers in another shape."}}},
          {{"dx = δ", trace::Why{"The same numbers, back in the shape in which they came."}}}};
}

template <class T>
Unflatten<T>::Unflatten(int dim, Shape unflattened_size) : dim_(dim), sizes_(unflattened_size) {
  if (sizes_.rank() == 0) throw ValueError("Unflatten: at least one size expected");
}

template <class T>
Shape Unflatten<T>::output_shape(const Shape& input) const {
  const int dim = from_0(input, dim_);
  if (input[dim] != sizes_.numel())
    throw ShapeError("input has " + std::to_string(input[dim]) + " in dimension " + std::to_string(dim_) + ", " +
                     std::to_string(sizes_.numel()) + " expected for " + sizes_.str() + " (shape " + input.str() + ")");
  Shape shape;
  for (int d = 0; d < static_cast<int>(input.rank()); ++d)
    if (d != dim)
      shape.push_back(input[d]);
    else
      for (const std::size_t size : sizes_) shape.push_back(size);
  return shape;
}

template <class T>
std::string Unflatten<T>::extra_repr() const {
  return "dim=" + std::to_string(dim_) + ", unflattened_size=" + sizes_.str();
}

template <class T>
trace::Derivation Unflatten<T>::derivation(const Shape&) const {
  return {{{"y = x", trace::Why{"The same numbers in another shape."}}},
          {{"dx = δ", trace::Why{"The same numbers, back in the shape in which they came."}}}};
}

template class Flatten<float>;
template class Flatten<double>;
template class Unflatten<float>;
template class Unflatten<double>;

}  // namespace handgrad
