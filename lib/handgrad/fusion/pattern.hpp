#pragma once
#include <cstddef>
#include <span>

#include "handgrad/contract/layer.hpp"

namespace handgrad::fusion {

/// Layers that run one after the other.
template <class T>
using Layers = std::span<Layer<T>* const>;

/// What a fused backward came to: dx of the lowest of the layers that it ran through, counted from the last.
template <class T>
struct Done {
  const Tensor<T>* dx = nullptr;
  std::size_t layers = 0;  // 0: nothing was done, for what ran last in these layers does not allow it
};

/// Something that may run as one. It changes nothing but speed and rounding, and leaves in each layer what the layer's
/// own backward needs: a fused forward may be followed by an unfused backward and the other way round.
///
/// `match_forward` and `match_backward` see types and shapes only, once for a container, and say how many of the first
/// layers, or of the last, the pattern takes; 0 for none. The functions beside them run: `forward` gets the layers from
/// the first of them on to the container's last, and returns the output of the last that it takes; `backward` gets
/// those that it takes, and may stop early. A direction in which nothing is fused has null for both.
template <class T>
struct Pattern {
  const char* name;
  std::size_t (*match_forward)(Layers<T> layers) = nullptr;
  const Tensor<T>& (*forward)(Layers<T> layers, const Tensor<T>& x) = nullptr;
  std::size_t (*match_backward)(Layers<T> layers) = nullptr;
  Done<T> (*backward)(Layers<T> layers, const Tensor<T>& dy) = nullptr;
};

/// All of them; where several match, the first is taken. A new pattern is a file here, a line in patterns.cpp and a
/// test in tests/fusion.
template <class T>
std::span<const Pattern<T>> patterns();

}  // namespace handgrad::fusion
