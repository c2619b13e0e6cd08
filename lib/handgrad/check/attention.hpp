#pragma once
// Inside check/: recognises attention and parallel linear heads by their values, and rebuilds their gradients with and
// without the catalogue's mistakes.
#include <string>
#include <vector>

#include "handgrad/check/model.hpp"

namespace handgrad::detail {

/// The gradient of one tensor, right and with each mistake.
struct BranchGuess {
  Cause cause = Cause::None;
  Grid right, wrong;
  std::string what, formula, derivative;
};

/// For the tensor with these values (the input or a parameter), if the step is self-attention: y = softmax(τ·Q·Kᵀ +
/// M)·V, optionally times an output weight, with any number of heads, for one sequence (T×E) or a batch, (N, T, E) or
/// (T, N, E). Q, K and V come from x through separate or stacked weights, with or without biases; M is causal or hides
/// padding.
std::vector<BranchGuess> attention_guesses(const GradientStep& step, const std::vector<double>& tensor, bool is_input);

/// For the input, if the step is several Linear heads side by side: y = [x·W₁ᵀ + b₁, x·W₂ᵀ + b₂, …].
std::vector<BranchGuess> head_guesses(const GradientStep& step);

}  // namespace handgrad::detail
