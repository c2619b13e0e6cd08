#include "handgrad/losses/kl_div.hpp"

#include "kernels/formulas/losses.hpp"

namespace handgrad {

template <class T>
formulas::ElementLoss KLDivLoss<T>::formula() const {
  return formulas::KullbackLeibler{options_.log_target};
}

template <class T>
std::size_t KLDivLoss<T>::divisor(const Shape& prediction) const {
  return options_.batchmean && prediction.rank() > 0 ? prediction[0] : prediction.numel();
}

template class KLDivLoss<float>;
template class KLDivLoss<double>;

}  // namespace handgrad
