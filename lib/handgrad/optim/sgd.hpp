#pragma once
#include "handgrad/optim/optimizer.hpp"

namespace handgrad {

namespace kernels {
template <class T>
struct SGDUpdate;
}

struct SGDOptions {
  double lr = 1e-3;
  double momentum = 0;
  double weight_decay = 0;
  bool nesterov = false;
};

/// Gradient descent, as torch.optim.SGD: for each parameter w with gradient g
///     g ← g + λ·w                     weight_decay λ
///     v ← µ·v + g  (first: v ← g)     momentum µ
///     w ← w − η·v,  with nesterov w ← w − η·(g + µ·v),  without momentum w ← w − η·g
/// Throws ValueError for a negative rate, and for nesterov without momentum.
template <class T = float>
class SGD : public Optimizer<T> {
 public:
  explicit SGD(std::vector<Parameter<T>> parameters, SGDOptions options = {});
  ~SGD() override;
  double lr() const override { return options_.lr; }
  void set_lr(double lr) override { options_.lr = lr; }
  const SGDOptions& options() const { return options_; }
  trace::Derivation derivation(std::size_t i) const override;

 protected:
  void update() override;

 private:
  SGDOptions options_;
  std::vector<Tensor<T>> velocity_;             // one for each parameter, undefined before its first step
  std::vector<kernels::SGDUpdate<T>> updates_;  // kept so that a step allocates nothing
};

}  // namespace handgrad
