#include "handgrad/containers/sequential.hpp"

#include <algorithm>
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
  if (size() == 0) this->x_ = x;  // y = x
  const Tensor<T>* h = &x;
  for (std::size_t i = 0; i < size(); ++i)
    h = &at_place(i, [&]() -> const Tensor<T>& {
      return fusions_[i].forward && !traced ? propagate_fused(i++, *h) : this->children()[i].second->propagate(*h);
    });
  return *h;
}

template <class T>
void Sequential<T>::find_fusions() {
  // By the exact type: a class that a user derives from one of these may compute something else.
  const auto is = [this](std::size_t i, std::initializer_list<const std::type_info*> types) {
    const Layer<T>* layer = i < size() ? &(*this)[i] : nullptr;
    return layer && std::any_of(types.begin(), types.end(), [&](auto* type) { return typeid(*layer) == *type; });
  };
  fusions_.resize(size());
  for (std::size_t i = 0; i < size(); ++i) {
    const bool linear = is(i, {&typeid(Linear<T>)});
    const bool needs_output_only = is(
        i + 1, {&typeid(Identity<T>), &typeid(Threshold<T>), &typeid(Sigmoid<T>), &typeid(Tanh<T>), &typeid(ReLU<T>)});
    const bool needs_z =
        is(i + 1, {&typeid(LeakyReLU<T>), &typeid(ELU<T>), &typeid(GELU<T>), &typeid(SiLU<T>), &typeid(Softplus<T>)});
    fusions_[i].forward = linear && needs_output_only;
    fusions_[i].backward = linear && (needs_output_only || needs_z) && is(i + 2, {&typeid(Linear<T>)});
  }
  fusions_known_ = true;
}

// z = x·Wᵀ + b and y = f(z) in one pass. z is never stored; both layers keep y, which is all that the backward needs:
// the activation's δ∘f′(y), the Linear's products with δ. Their backward functions do not know of it.
template <class T>
const Tensor<T>& Sequential<T>::propagate_fused(std::size_t i, const Tensor<T>& x) {
  auto& linear = static_cast<Linear<T>&>(*this->children()[i].second);
  auto& activation = static_cast<ActivationLayer<T>&>(*this->children()[i + 1].second);
  Layer<T>&first = linear, &second = activation;
  Fusion& fusion = fusions_[i];
  second.y_ = Tensor<T>();  // or the handles would keep the buffer from being written again
  if (fusion.backward) fusion.y = Tensor<T>();
  first.accept(x);
  const formulas::Activation f = activation.formula();
  auto& k = kernels::backend<T>(x.device());
  const std::size_t mask = fusion.backward && this->is_training() ? k.mask_size(f, first.y_) : 0;
  if (mask > 0) fusion.mask.reserve({mask}, x.device());
  try {
    if (k.linear_forward(x, linear.weight, linear.has_bias() ? &linear.bias.value() : nullptr, &f, first.y_,
                         mask > 0 ? &fusion.mask : nullptr))
      fusion.y = first.y_;
  } catch (...) {
    first.x_ = Tensor<T>();
    throw;
  }
  second.y_ = first.y_;
  second.x_ = first.y_;
  return second.y_;
}

template <class T>
const Tensor<T>& Sequential<T>::backpropagate(const Tensor<T>& dy) {
  if (size() == 0) {  // dx = δ
    this->accept_gradient(this->x_, dy);
    return this->input_grad_ ? dy : this->not_wanted();
  }
  if (!fusions_known_) find_fusions();
  const bool traced = trace::recorder() != nullptr;
  const Tensor<T>* delta = &dy;
  for (std::size_t i = size(); i-- > 0;)
    delta = &(!traced && i >= 2 && fuses_backward(i - 2)
                  ? backpropagate_fused(i, *delta)
                  : at_place(i, [&]() -> const Tensor<T>& { return (*this)[i].backpropagate(*delta); }));
  return *delta;
}

// Whether layers i to i+2, a Linear, an activation and a Linear, last ran one after the other (each can be run alone),
// and δ is wanted all the way.
template <class T>
bool Sequential<T>::fuses_backward(std::size_t i) const {
  if (!fusions_[i].backward) return false;
  const Layer<T>&linear = (*this)[i], &activation = (*this)[i + 1], &next = (*this)[i + 2];
  return next.x_.data() == activation.y_.data() && next.x_.shape() == activation.x_.shape() &&
         linear.y_.data() == activation.x_.data() && activation.input_grad_ && next.input_grad_;
}

// Down a chain of Linears with activations between them, from layer i to the lowest of them, where i is left. The
// product of a Linear with its δ gives, in one operation, the δ of the Linear before it and the gradient of that one's
// bias:   dW = δᵀ·x,   δ′ = (δ·W) ∘ f′(z′),   db′ = Σₙ δ′
template <class T>
const Tensor<T>& Sequential<T>::backpropagate_fused(std::size_t& i, const Tensor<T>& dy) {
  const Tensor<T>* delta = &dy;
  for (bool db_done = false;; db_done = true) {
    auto& linear = static_cast<Linear<T>&>(*this->children()[i].second);
    Layer<T>& layer = linear;
    at_place(i, [&] { layer.accept_gradient(layer.y_, *delta); });
    auto& k = kernels::backend<T>(delta->device());
    k.linear_backward_parameters(layer.x_, *delta, kernels::accumulate(linear.weight),
                                 db_done ? kernels::Accumulator<T>{} : kernels::accumulate(linear.bias));
    if (i < 2 || !fuses_backward(i - 2)) {
      if (!layer.input_grad_) return this->not_wanted();
      layer.dx_.reserve(layer.x_.shape(), layer.x_.device());
      k.linear_backward_input(*delta, linear.weight, layer.dx_);
      return layer.dx_;
    }
    i -= 2;
    const Fusion& fusion = fusions_[i];
    auto& before = static_cast<Linear<T>&>(*this->children()[i].second);
    auto& activation = static_cast<ActivationLayer<T>&>(*this->children()[i + 1].second);
    Layer<T>& f = activation;
    f.dx_.reserve(f.x_.shape(), f.x_.device());
    const bool masked = fusion.y.defined() && fusion.y.data() == f.y_.data();
    k.activation_linear_backward(*delta, linear.weight, activation.formula(), f.x_, f.y_,
                                 masked ? &fusion.mask : nullptr, f.dx_, kernels::accumulate(before.bias));
    delta = &f.dx_;
  }
}

template class Sequential<float>;
template class Sequential<double>;

}  // namespace handgrad
