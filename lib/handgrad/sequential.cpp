#include "handgrad/sequential.hpp"

namespace handgrad {

template <class T>
void Sequential<T>::push_back(std::shared_ptr<Layer<T>> layer) {
  if (layer) layer->requires_input_grad(size() > 0 || this->requires_input_grad());
  this->register_child(std::to_string(size()), std::move(layer));
}

template <class T>
Layer<T>& Sequential<T>::operator[](std::size_t i) const {
  if (i >= size())
    throw ValueError("Sequential[" + std::to_string(i) + "]: there are " + std::to_string(size()) + " layers");
  return *this->children()[i].second;
}

template <class T>
void Sequential<T>::input_grad_changed() {
  if (size() > 0) (*this)[0].requires_input_grad(this->requires_input_grad());
}

namespace {

// Runs `f` for layer i; an error that leaves it names the place.
template <class F>
decltype(auto) at_place(std::size_t i, F&& f) {
  try {
    return f();
  } catch (Error& error) {
    error.prepend("Sequential[" + std::to_string(i) + "] ");
    throw;
  }
}

}  // namespace

template <class T>
Shape Sequential<T>::output_shape(const Shape& input) const {
  Shape shape = input;
  for (std::size_t i = 0; i < size(); ++i) shape = at_place(i, [&] { return (*this)[i].output_shape(shape); });
  return shape;
}

template <class T>
const Tensor<T>& Sequential<T>::propagate(const Tensor<T>& x) {
  const Tensor<T>* h = &x;
  for (std::size_t i = 0; i < size(); ++i)
    h = &at_place(i, [&]() -> const Tensor<T>& { return (*this)[i].propagate(*h); });
  return *h;
}

template <class T>
const Tensor<T>& Sequential<T>::backpropagate(const Tensor<T>& dy) {
  const Tensor<T>* delta = &dy;
  for (std::size_t i = size(); i-- > 0;)
    delta = &at_place(i, [&]() -> const Tensor<T>& { return (*this)[i].backpropagate(*delta); });
  return *delta;
}

template class Sequential<float>;
template class Sequential<double>;

}  // namespace handgrad
