#include "handgrad/optim/optimizer.hpp"

#include "handgrad/errors.hpp"

namespace handgrad {

template <class T>
Optimizer<T>::Optimizer(std::vector<Parameter<T>> parameters) : parameters_(std::move(parameters)) {
  if (parameters_.empty()) throw ValueError("an optimizer without parameters: nothing to train");
}

template class Optimizer<float>;
template class Optimizer<double>;

}  // namespace handgrad
