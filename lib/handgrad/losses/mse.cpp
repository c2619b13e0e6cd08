#include "handgrad/losses/mse.hpp"

#include "kernels/formulas/losses.hpp"

namespace handgrad {

template <class T>
formulas::ElementLoss MSELoss<T>::formula() const {
  return formulas::SquaredError{};
}

template <class T>
formulas::ElementLoss L1Loss<T>::formula() const {
  return formulas::AbsoluteError{};
}

template class MSELoss<float>;
template class MSELoss<double>;
template class L1Loss<float>;
template class L1Loss<double>;

}  // namespace handgrad
