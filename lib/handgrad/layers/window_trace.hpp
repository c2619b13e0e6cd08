#pragma once
// For the derivations of layers with windows: the input at each place of each window.
#include <string>

#include "handgrad/layers/window.hpp"
#include "handgrad/trace/derivation.hpp"
#include "kernels/formulas/windows.hpp"

namespace handgrad::detail {

/// The row-major index of the input's element at each place of each window; −1 for padding.
struct WindowPlaces {
  trace::Array places;
  /// Small enough that formulas with brackets [P = a] over all places and elements can be evaluated.
  bool small = true;
};

/// For a convolution with G groups from x: a window has all channels, P[n, i, j, k] with k = (c, u, v).
WindowPlaces patches(const Planes& x, bool batched, std::size_t spatial, const formulas::Axis& rows,
                     const formulas::Axis& columns);
/// For pooling: P[r, j, k], where r numbers the rows of y, (n, c, i), and k = (u, v).
WindowPlaces windows(std::size_t planes, const formulas::Axis& rows, const formulas::Axis& columns,
                     const formulas::Averaging* how = nullptr);

}  // namespace handgrad::detail
