#pragma once
// Inside check/: recognises attention, and linear heads side by side, by their values, and rebuilds their gradients
// with and without the mistakes of the catalogue.
#include <string>
#include <vector>

#include "handgrad/check/model.hpp"

namespace handgrad::detail {

/// The gradient of one tensor, rightly and wrongly.
struct BranchGuess {
  Cause cause = Cause::None;
  Grid right, wrong;
  std::string what, formula, derivative;
};

/// Of the tensor with these values, the input or a parameter, if the step is self-attention: y = softmax(τ·Q·Kᵀ + M)·V,
/// or that times a last weight, in any number of heads, for one sequence (T×E) or several, (N, T, E) or (T, N, E); Q, K
/// and V from x by weights of their own or by one above the other, with biases or without; M causal or hiding the ends
/// of sequences.
std::vector<BranchGuess> attention_guesses(const GradientStep& step, const std::vector<double>& tensor, bool is_input);

/// Of the input, if the step is several Linear heads side by side: y = [x·W₁ᵀ + b₁, x·W₂ᵀ + b₂, …].
std::vector<BranchGuess> head_guesses(const GradientStep& step);

}  // namespace handgrad::detail
