#include "handgrad/sequential.hpp"

#include <typeinfo>

#include "handgrad/layers/activations.hpp"
#include "handgrad/layers/linear.hpp"
#include "handgrad/trace/recorder.hpp"
#include "kernels/backend.hpp"

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

// A layer keeps its input, which is the output of the layer before. They let go of it here, so that it can be written
// anew (and a backward after a forward that failed finds nothing, rather than something old).
template <class T>
void Sequential<T>::release_inputs() {
  for (std::size_t i = 1; i < size(); ++i)
    for (Layer<T>* layer = this->children()[i].second.get(); layer;
         layer = layer->children_.empty() ? nullptr : layer->children_.front().second.get())
      layer->x_ = Tensor<T>();
}

template <class T>
const Tensor<T>& Sequential<T>::propagate(const Tensor<T>& x) {
  if (!fusions_known_) find_fusions();
  release_inputs();
  const bool traced = trace::recorder() != nullptr;
  const Tensor<T>* h = &x;
  for (std::size_t i = 0; i < size(); ++i)
    h = &at_place(i, [&]() -> const Tensor<T>& {
      return fusions_[i] && !traced ? propagate_fused(i++, *h) : this->children()[i].second->propagate(*h);
    });
  return *h;
}

template <class T>
void Sequential<T>::find_fusions() {
  // By the exact type: a class that a user derives from one of these may compute something else, or need z.
  const auto is_linear = [](const Layer<T>& layer) { return typeid(layer) == typeid(Linear<T>); };
  const auto needs_output_only = [](const Layer<T>& layer) {
    for (const std::type_info* type :
         {&typeid(Identity<T>), &typeid(Threshold<T>), &typeid(Sigmoid<T>), &typeid(Tanh<T>), &typeid(ReLU<T>)})
      if (typeid(layer) == *type) return true;
    return false;
  };
  fusions_.assign(size(), false);
  for (std::size_t i = 0; i + 1 < size(); ++i) fusions_[i] = is_linear((*this)[i]) && needs_output_only((*this)[i + 1]);
  fusions_known_ = true;
}

// z = x·Wᵀ + b and y = f(z) in one pass. z is never stored; both layers keep y, which is all that the backward needs:
// the activation's δ∘f′(y), the Linear's products with δ. Their backward functions do not know of it.
template <class T>
const Tensor<T>& Sequential<T>::propagate_fused(std::size_t i, const Tensor<T>& x) {
  auto& linear = static_cast<Linear<T>&>(*this->children()[i].second);
  auto& activation = static_cast<ActivationLayer<T>&>(*this->children()[i + 1].second);
  Layer<T>&first = linear, &second = activation;
  second.y_ = Tensor<T>();  // or its handle would keep the buffer from being written again
  first.accept(x);
  const formulas::Activation f = activation.formula();
  kernels::backend<T>(x.device())
      .linear_forward(x, linear.weight, linear.has_bias() ? &linear.bias.value() : nullptr, &f, first.y_);
  second.y_ = first.y_;
  second.x_ = first.y_;
  return second.y_;
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
