#pragma once
// Inside check/: recognises a unidirectional recurrent layer (RNN, LSTM, GRU) by its values, and rebuilds its gradients
// with and without the usual mistakes of backpropagation through time.
#include <string>
#include <vector>

#include "handgrad/check/model.hpp"

namespace handgrad::detail {

/// The gradient of one tensor of the step, right and with each mistake.
struct SequenceGuess {
  Cause cause = Cause::None;
  Grid right, wrong;
  std::string what, formula, where;
};
/// For the tensor with these values; empty if the step is no such layer or the tensor not part of it.
std::vector<SequenceGuess> sequence_guesses(const GradientStep& step, const Tensor<double>& tensor);

}  // namespace handgrad::detail
