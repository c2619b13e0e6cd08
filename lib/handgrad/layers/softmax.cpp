#include "handgrad/layers/softmax.hpp"

#include "kernels/backend.hpp"

namespace handgrad {

namespace {

int counted_from_front(int dim, const Shape& shape) {
  const int rank = static_cast<int>(shape.rank());
  if (dim < -rank || dim >= rank)
    throw ShapeError("there is no dimension " + std::to_string(dim) + " in an input of shape " + shape.str());
  return dim < 0 ? dim + rank : dim;
}

Shape checked(int dim, const Shape& shape) {
  counted_from_front(dim, shape);
  return shape;
}

}  // namespace

template <class T>
void Softmax<T>::forward_into(const Tensor<T>& z, Tensor<T>& y) {
  // yⱼ = e^(zⱼ−m) / Σₖ e^(zₖ−m)
  kernels::backend<T>(z.device()).softmax_forward(z, counted_from_front(dim_, z.shape()), y);
}

template <class T>
void Softmax<T>::backward_into(const Tensor<T>& z, const Tensor<T>& y, const Tensor<T>& dy, Tensor<T>& dz) {
  // dzᵢ = yᵢ(δᵢ − Σⱼ δⱼyⱼ)
  kernels::backend<T>(z.device()).softmax_backward(y, dy, counted_from_front(dim_, z.shape()), dz);
}

template <class T>
void LogSoftmax<T>::forward_into(const Tensor<T>& z, Tensor<T>& y) {
  // yⱼ = (zⱼ−m) − log Σₖ e^(zₖ−m)
  kernels::backend<T>(z.device()).log_softmax_forward(z, counted_from_front(dim_, z.shape()), y);
}

template <class T>
void LogSoftmax<T>::backward_into(const Tensor<T>& z, const Tensor<T>& y, const Tensor<T>& dy, Tensor<T>& dz) {
  // dzᵢ = δᵢ − e^(yᵢ)·Σⱼ δⱼ
  kernels::backend<T>(z.device()).log_softmax_backward(y, dy, counted_from_front(dim_, z.shape()), dz);
}

template <class T>
Shape Softmax<T>::output_shape(const Shape& input) const {
  return checked(dim_, input);
}

template <class T>
Shape LogSoftmax<T>::output_shape(const Shape& input) const {
  return checked(dim_, input);
}

template class Softmax<float>;
template class Softmax<double>;
template class LogSoftmax<float>;
template class LogSoftmax<double>;

}  // namespace handgrad
