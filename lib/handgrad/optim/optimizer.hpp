#pragma once
#include <string>
#include <vector>

#include "handgrad/parameter.hpp"

namespace handgrad {

namespace trace {
struct Derivation;
}

/// What optimizers share: the parameters they train. A step reads the gradients and changes the values in place; a
/// parameter without a gradient since `zero_grad()` is left alone, as in PyTorch.
///
/// As with Layer, the public step lives here once and records the trace; an optimizer's own part is `update`.
template <class T>
class Optimizer {
 public:
  explicit Optimizer(std::vector<Parameter<T>> parameters);
  virtual ~Optimizer() = default;
  void step();
  void zero_grad() {
    for (Parameter<T>& parameter : parameters_) parameter.zero_grad();
  }
  virtual double lr() const = 0;
  virtual void set_lr(double lr) = 0;
  const std::vector<Parameter<T>>& parameters() const { return parameters_; }

  /// The class's name, `SGD`; found from the type unless overridden.
  virtual std::string name() const;
  /// The assignments of parameter i's next update, for whoever records a step (trace/derivation.hpp): for a parameter w
  /// with gradient g, in `forward`, with the optimizer's rates and state (η, v) as `known`. Nothing unless overridden.
  virtual trace::Derivation derivation(std::size_t i) const;

 protected:
  /// One step of all parameters that have a gradient.
  virtual void update() = 0;
  std::vector<Parameter<T>> parameters_;
};

}  // namespace handgrad
