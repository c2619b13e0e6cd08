#pragma once
// Inside check/: the rounding noise of a forward and a backward.
#include <cstdint>
#include <functional>
#include <vector>

#include "handgrad/check/differences.hpp"

namespace handgrad::detail {

/// The uncertainty of the terms of S and of the entries of each gradient.
struct Noise {
  Values terms;
  std::vector<Values> gradients;
  bool known = false;
};

/// A forward and its backward at the current point.
struct Evaluation {
  Values terms;
  std::vector<bool> sides;
  std::vector<Values> gradients;
};

/// Moves all tensors along a short line and evaluates at nine evenly spaced points. The sixth differences of a smooth
/// function vanish there, so what remains is rounding (Hamming's table of differences; Moré and Wild 2011). If the line
/// meets a kink or the edge of the domain, a shorter one is taken, and at last one across the kink, which overestimates
/// the noise; if none works, the noise is taken as 0. The tensors are restored bit for bit.
Noise measure_noise(const std::vector<Tensor<double>>& tensors, const std::function<Evaluation()>& evaluate,
                    std::uint64_t seed);

}  // namespace handgrad::detail
