#include "handgrad/optim/optimizer.hpp"

#include <typeinfo>

#include "handgrad/errors.hpp"
#include "handgrad/trace/recorder.hpp"
#include "handgrad/type_name.hpp"

namespace handgrad {

template <class T>
Optimizer<T>::Optimizer(std::vector<Parameter<T>> parameters) : parameters_(std::move(parameters)) {
  if (parameters_.empty()) throw ValueError("an optimizer without parameters: nothing to train");
}

template <class T>
void Optimizer<T>::step() {
  trace::Recorder* recorder = trace::recorder();
  if (recorder) recorder->before_step(*this);
  update();
  if (recorder) recorder->step(*this);
}

template <class T>
std::string Optimizer<T>::name() const {
  return class_name(typeid(*this));
}

template <class T>
trace::Derivation Optimizer<T>::derivation(std::size_t) const {
  return {};
}

template class Optimizer<float>;
template class Optimizer<double>;

}  // namespace handgrad
