#pragma once
// Inside check/: a recurrent layer, or one step of one, as it is written with NumPy: x·W with the gates' blocks in an
// order of its own, one bias, states among the parameters.
#include <vector>

#include "handgrad/check/sequence.hpp"

namespace handgrad::detail {

/// As sequence_guesses. x (N, in) with y (N, H) is one step, x (N, T, in) with y (N, T, H) a sequence; W (in, G·H) and
/// U (H, G·H), or transposed; b (G·H); the states h and c (N, H).
std::vector<SequenceGuess> cell_guesses(const GradientStep& step, const Tensor<double>& tensor);

}  // namespace handgrad::detail
