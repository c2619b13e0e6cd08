#pragma once
#include <vector>

#include "handgrad/contract/parameter.hpp"

namespace handgrad {

/// λ·Σ w² over all given weights, to be added to any loss; the gradient of each weight grows by 2λw.
///
///     L2Penalty penalty({linear.weight}, 1e-3);
///     double value = loss.forward(net.forward(x), t).item() + penalty.forward().item();
///     net.backward(loss.backward());
///     penalty.backward();
///
/// (SGD's weight_decay = 2λ makes the same step without the value; λ is the notebook's, without a factor ½.)
template <class T = float>
class L2Penalty {
 public:
  /// Throws ValueError for a negative λ.
  L2Penalty(std::vector<Parameter<T>> weights, double lambda);
  /// λ·Σ w², of shape ().
  const Tensor<T>& forward();
  /// dw += 2λ·w for each weight w.
  void backward();

 private:
  std::vector<Parameter<T>> weights_;
  T lambda_;
  Tensor<T> value_, part_;
};

}  // namespace handgrad
