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

template <class T>
void L1Loss<T>::kink_sides(const Tensor<T>& p, const Tensor<T>& y, std::vector<bool>& sides) const {
  const std::vector<T> a = p.to_vector(), b = y.to_vector();
  for (std::size_t i = 0; i < a.size(); ++i) sides.push_back(a[i] > b[i]);
}

template class MSELoss<float>;
template class MSELoss<double>;
template class L1Loss<float>;
template class L1Loss<double>;

}  // namespace handgrad
