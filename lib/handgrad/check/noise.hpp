#pragma once
// Inside check/: how many digits a forward and a backward lose on their way.
#include <cstdint>
#include <functional>
#include <vector>

#include "handgrad/check/differences.hpp"

namespace handgrad::detail {

/// What the terms of S, and the entries of each gradient, are uncertain by.
struct Noise {
  Values terms;
  std::vector<Values> gradients;
  bool known = false;
};

/// A forward with its backward, where the tensors are now.
struct Evaluation {
  Values terms;
  std::vector<bool> sides;
  std::vector<Values> gradients;
};

/// Moves all the tensors along a short line and evaluates at nine places in equal distances. A smooth function's sixth
/// differences are nothing there; what they are is rounding, which differs from place to place (Hamming's table of
/// differences; Moré and Wild 2011). Where the line meets a kink or the end of the domain, a shorter one is taken, in
/// the end across a kink, which makes too much of the noise; at worst nothing is known, and the noise is 0. The tensors
/// are put back bit for bit.
Noise measure_noise(const std::vector<Tensor<double>>& tensors, const std::function<Evaluation()>& evaluate,
                    std::uint64_t seed);

}  // namespace handgrad::detail
