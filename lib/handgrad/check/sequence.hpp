#pragma once
// Inside check/: recognises, by its values alone, a recurrent layer of one direction (RNN, LSTM, GRU), and rebuilds its
// gradients with and without the mistakes that are made in backpropagation through time.
#include <string>
#include <vector>

#include "handgrad/check/model.hpp"

namespace handgrad::detail {

/// The gradient of one tensor of the step, rightly and wrongly.
struct SequenceGuess {
  Cause cause = Cause::None;
  Grid right, wrong;
  std::string what, formula, where;
};
/// For the tensor with these values; none where the step is no such layer, or the tensor none of its.
std::vector<SequenceGuess> sequence_guesses(const GradientStep& step, const Tensor<double>& tensor);

}  // namespace handgrad::detail
