#include "handgrad/containers/sequential.hpp"

#include "handgrad/fusion/access.hpp"

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

template <class T>
const fusion::Plan<T>& Sequential<T>::plan() {
  if (!plan_) {
    std::vector<Layer<T>*> layers;
    for (const auto& [name, layer] : this->children()) layers.push_back(layer.get());
    plan_.emplace(std::move(layers));
  }
  return *plan_;
}

namespace {

// Runs `f` for layer i and puts the layer's place in front of any error.
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
  for (std::size_t i = 1; i < size(); ++i) fusion::Access<T>((*this)[i]).release_input();
  const fusion::Plan<T>& run = plan();
  const Tensor<T>* h = &x;
  for (std::size_t i = 0; i < size();)
    h = &at_place(
        i, [&]() -> auto& { return run.forward(i, *h); });
  return *h;
}

template <class T>
void Sequential<T>::require_frozen_below(std::size_t i) const {
  for (std::size_t below = 0; below < i; ++below)
    for (const Parameter<T>& parameter : (*this)[below].parameters())
      if (parameter.requires_grad())
        throw StateError("Sequential[" + std::to_string(i) + "] " + (*this)[i].label() +
                         ": its input are indices, through which no gradient passes, so the parameters of Sequential[" +
                         std::to_string(below) + "] before it cannot learn: freeze() them");
}

template <class T>
const Tensor<T>& Sequential<T>::backpropagate(const Tensor<T>& dy) {
  if (size() == 0) {  // y = x, dx = δ
    const fusion::Access<T> own(*this);
    own.accept_gradient(own.x, dy);
    return own.wants_dx ? dy : own.not_wanted();
  }
  const fusion::Plan<T>& run = plan();
  const Tensor<T>* delta = &dy;
  std::size_t i = size();
  while (i > 0) {  // the plan moves i
    delta = &at_place(
        i - 1, [&]() -> auto& { return run.backward(i, *delta); });
    if (i > 0 && !(*this)[i].differentiable_input()) {  // indices: the chain rule ends here
      require_frozen_below(i);
      break;
    }
  }
  return *delta;
}

template class Sequential<float>;
template class Sequential<double>;

}  // namespace handgrad
