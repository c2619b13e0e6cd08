#include "handgrad/losses/element_loss.hpp"

#include "kernels/backend.hpp"

namespace handgrad {

template <class T>
static T factor(Reduction reduction, std::size_t n) {
  return reduction == Reduction::Mean ? T(1) / static_cast<T>(n) : T(1);
}

template <class T>
void ElementLoss<T>::forward_into(const Tensor<T>& p, const Tensor<T>& y, Tensor<T>& value) {
  // L = (1/N)·Σ wᵢ·ℓ(pᵢ, yᵢ)
  kernels::backend<T>(p.device())
      .element_loss_forward(formula(), p, y, weights(), positive_weights(), this->reduction(),
                            factor<T>(this->reduction(), p.numel()), value);
}

template <class T>
void ElementLoss<T>::backward_into(const Tensor<T>& p, const Tensor<T>& y, Tensor<T>& dp) {
  // dpᵢ = (1/N)·wᵢ·∂ℓ/∂p(pᵢ, yᵢ)
  kernels::backend<T>(p.device())
      .element_loss_backward(formula(), p, y, weights(), positive_weights(), factor<T>(this->reduction(), p.numel()),
                             dp);
}

template class ElementLoss<float>;
template class ElementLoss<double>;

}  // namespace handgrad
