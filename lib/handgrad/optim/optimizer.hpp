#pragma once
#include <vector>

#include "handgrad/parameter.hpp"

namespace handgrad {

/// What optimizers share: the parameters they train. A step reads the gradients and changes the values in place; a
/// parameter without a gradient since `zero_grad()` is left alone, as in PyTorch.
template <class T>
class Optimizer {
 public:
  explicit Optimizer(std::vector<Parameter<T>> parameters);
  virtual ~Optimizer() = default;
  virtual void step() = 0;
  void zero_grad() {
    for (Parameter<T>& parameter : parameters_) parameter.zero_grad();
  }
  virtual double lr() const = 0;
  virtual void set_lr(double lr) = 0;

 protected:
  std::vector<Parameter<T>> parameters_;
};

}  // namespace handgrad
