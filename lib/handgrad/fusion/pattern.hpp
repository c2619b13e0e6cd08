#pragma once
#include <cstddef>
#include <span>

#include "handgrad/contract/layer.hpp"

namespace handgrad::fusion {

/// Consecutive layers.
template <class T>
using Layers = std::span<Layer<T>* const>;

/// The result of a fused backward: how many layers it went through, counted from the last, and dx of the lowest.
template <class T>
struct Done {
  const Tensor<T>* dx = nullptr;
  std::size_t layers = 0;  // 0: nothing was done, as the layers' last forward does not allow it
};

/// Layers that can run as one. Fusion changes only speed and rounding, and leaves in each layer what its own backward
/// needs: a fused forward may be followed by an unfused backward, and vice versa.
///
/// `match_forward` and `match_backward` see only types and shapes, once per container, and return how many of the first
/// or last layers the pattern takes; 0 for none. `forward` gets the layers from the first of these to the container's
/// last, and returns the output of the last that it takes; `backward` gets those that it takes, and may stop early. A
/// direction without fusion has null for both.
template <class T>
struct Pattern {
  const char* name;
  std::size_t (*match_forward)(Layers<T> layers) = nullptr;
  const Tensor<T>& (*forward)(Layers<T> layers, const Tensor<T>& x) = nullptr;
  std::size_t (*match_backward)(Layers<T> layers) = nullptr;
  Done<T> (*backward)(Layers<T> layers, const Tensor<T>& dy) = nullptr;
};

/// All patterns; the first that matches is taken. A new pattern is a file here, a line in patterns.cpp and a test in
/// tests/fusion.
template <class T>
std::span<const Pattern<T>> patterns();

}  // namespace handgrad::fusion
