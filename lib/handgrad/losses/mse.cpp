#include "handgrad/losses/mse.hpp"

#include "handgrad/base/format.hpp"
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
void L1Loss<T>::kink_sides(const Tensor<T>& p, const Tensor<T>& t, std::vector<bool>& sides) const {
  const std::vector<T> a = p.to_vector(), b = t.to_vector();
  for (std::size_t i = 0; i < a.size(); ++i) sides.push_back(a[i] > b[i]);
}

// Which side of |p − t| = end, where the slope stops growing.
template <class T>
static void sides_of_bend(double end, const Tensor<T>& p, const Tensor<T>& t, std::vector<bool>& sides) {
  const std::vector<T> a = p.to_vector(), b = t.to_vector();
  for (std::size_t i = 0; i < a.size(); ++i) {
    const double d = static_cast<double>(a[i]) - static_cast<double>(b[i]);
    sides.push_back(d > end);
    sides.push_back(d < -end);
  }
}

template <class T>
HuberLoss<T>::HuberLoss(HuberLossOptions options) : ElementLoss<T>(options.reduction), delta_(options.delta) {
  if (!(delta_ > 0)) throw ValueError("HuberLoss: delta = " + format_number(delta_) + ", a number above 0 expected");
}

template <class T>
formulas::ElementLoss HuberLoss<T>::formula() const {
  return formulas::Huber{delta_};
}

template <class T>
void HuberLoss<T>::kink_sides(const Tensor<T>& p, const Tensor<T>& t, std::vector<bool>& sides) const {
  sides_of_bend(delta_, p, t, sides);
}

template <class T>
SmoothL1Loss<T>::SmoothL1Loss(SmoothL1LossOptions options) : ElementLoss<T>(options.reduction), beta_(options.beta) {
  if (!(beta_ >= 0)) throw ValueError("SmoothL1Loss: beta = " + format_number(beta_) + ", ≥ 0 expected");
}

template <class T>
formulas::ElementLoss SmoothL1Loss<T>::formula() const {
  return formulas::SmoothAbsoluteError{beta_};
}

template <class T>
void SmoothL1Loss<T>::kink_sides(const Tensor<T>& p, const Tensor<T>& t, std::vector<bool>& sides) const {
  sides_of_bend(beta_, p, t, sides);
}

template class HuberLoss<float>;
template class HuberLoss<double>;
template class SmoothL1Loss<float>;
template class SmoothL1Loss<double>;
template class MSELoss<float>;
template class MSELoss<double>;
template class L1Loss<float>;
template class L1Loss<double>;

}  // namespace handgrad
