#include "handgrad/contract/loss.hpp"

#include <typeinfo>

#include "handgrad/base/backend.hpp"
#include "handgrad/base/type_name.hpp"
#include "handgrad/base/views.hpp"
#include "handgrad/contract/gradient_hook.hpp"
#include "handgrad/trace/recorder.hpp"

namespace handgrad {

// The same three values, in the same order.
static_assert(static_cast<int>(Reduction::None) == static_cast<int>(kernels::Reduction::None) &&
              static_cast<int>(Reduction::Mean) == static_cast<int>(kernels::Reduction::Mean) &&
              static_cast<int>(Reduction::Sum) == static_cast<int>(kernels::Reduction::Sum));

template <class T>
const Tensor<T>& Loss<T>::forward(const Tensor<T>& prediction, const Tensor<T>& target) & {
  p_ = t_ = Tensor<T>();  // after a failed forward, a backward must throw
  if (prediction.numel() == 0)
    throw ShapeError(name() + ": prediction is empty (shape " + prediction.shape().str() + ")");
  if (prediction.device() != target.device())
    throw DeviceError(name() + ": prediction is on " + prediction.device().str() + ", target on " +
                      target.device().str());
  losses_shape_ = losses_shape(prediction.shape(), target.shape());
  value_.reserve(reduction_ == Reduction::None ? losses_shape_ : Shape(), prediction.device());
  forward_into(prediction, target, value_);
  p_ = prediction;
  t_ = target;
  if (trace::Recorder* recorder = trace::recorder()) recorder->forward(*this, p_, t_, value_);
  return value_;
}

template <class T>
const Tensor<T>& Loss<T>::backward() {
  if (reduction_ == Reduction::None)
    throw StateError(name() +
                     ": with Reduction::None, backward needs the gradient of what was made of the losses: "
                     "backward(upstream), of their shape " +
                     losses_shape_.str());
  return backward_checked(nullptr);
}

template <class T>
const Tensor<T>& Loss<T>::backward(const Tensor<T>& upstream) {
  return backward_checked(&upstream);
}

template <class T>
const Tensor<T>& Loss<T>::backward_checked(const Tensor<T>* upstream) {
  if (!p_.defined()) throw StateError(name() + ": backward before any forward");
  if (upstream && !(upstream->shape() == value_.shape()))
    throw ShapeError(name() + ": the gradient of a loss of shape " + value_.shape().str() +
                     " was expected, one of shape " + upstream->shape().str() + " came");
  dp_.reserve(p_.shape(), p_.device());
  backward_into(p_, t_, dp_);
  if (upstream)
    backend<T>(dp_.device()).elements.multiply_rows(view::rows_of(dp_, upstream->numel()), view::vector(*upstream));
  if (trace::Recorder* recorder = trace::recorder()) recorder->backward(*this, p_, t_, value_, upstream, dp_);
  if (GradientUses<T>::heard()) GradientUses<T>::lost(*this);
  return dp_;
}

template <class T>
Shape Loss<T>::losses_shape(const Shape& prediction, const Shape& target) const {
  if (!(prediction == target))
    throw ShapeError(name() + ": prediction has shape " + prediction.str() + ", target has shape " + target.str() +
                     "; they must be equal, nothing is broadcast");
  return prediction;
}

template <class T>
std::string Loss<T>::name() const {
  return class_name(typeid(*this));
}

template class Loss<float>;
template class Loss<double>;

}  // namespace handgrad
