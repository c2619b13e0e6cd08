#include "handgrad/losses/cross_entropy.hpp"

#include "kernels/backend.hpp"

namespace handgrad {

template <class T>
Shape RowLoss<T>::losses_shape(const Shape& prediction, const Shape& target) const {
  const bool matrix = prediction.rank() == 2, vector = prediction.rank() == 1;
  const Shape rows = matrix ? Shape{prediction[0]} : Shape{};
  if (!(matrix || vector) || !(target == prediction || target == rows))
    throw ShapeError(this->name() +
                     ": prediction of shape (N, C) with classes (N,) or distributions (N, C) as target "
                     "expected; prediction has shape " +
                     prediction.str() + ", target has shape " + target.str());
  if (weight_.defined() && !(weight_.shape() == Shape{prediction.columns()}))
    throw ShapeError(this->name() + ": weight has shape " + weight_.shape().str() + ", one factor for each of " +
                     std::to_string(prediction.columns()) + " classes expected");
  return rows;
}

template <class T>
void RowLoss<T>::forward_into(const Tensor<T>& p, const Tensor<T>& y, Tensor<T>& value) {
  if (weight_.defined()) weight_ = weight_.to(p.device());
  divisor_.reserve({}, p.device());
  try {
    kernels::backend<T>(p.device())
        .row_loss_forward(static_cast<kernels::RowLoss>(kind()), p, y, weight_.defined() ? &weight_ : nullptr,
                          this->reduction(), divisor_, value);
  } catch (Error& error) {  // a class that does not exist
    error.prepend(this->name() + ": ");
    throw;
  }
}

template <class T>
void RowLoss<T>::backward_into(const Tensor<T>& p, const Tensor<T>& y, Tensor<T>& dp) {
  kernels::backend<T>(p.device())
      .row_loss_backward(static_cast<kernels::RowLoss>(kind()), p, y, weight_.defined() ? &weight_ : nullptr, divisor_,
                         dp);
}

template class RowLoss<float>;
template class RowLoss<double>;
template class CrossEntropyLoss<float>;
template class CrossEntropyLoss<double>;
template class NLLLoss<float>;
template class NLLLoss<double>;
template class CategoricalCrossEntropyLoss<float>;
template class CategoricalCrossEntropyLoss<double>;

}  // namespace handgrad
