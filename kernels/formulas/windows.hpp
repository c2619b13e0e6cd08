#pragma once
// Windows along one dimension of a plane: output i sees the inputs
//
//     h = i·stride + u·dilation − padding,   u = 0 … kernel−1,
//
// of which those below 0 and from `in` on are padding. Convolution sums a window, pooling takes its maximum or mean.
#include <cstddef>

#include "kernels/formulas/math.hpp"

namespace handgrad::formulas {

struct Axis {
  std::size_t in = 1, out = 1, kernel = 1, stride = 1, padding = 0, dilation = 1;

  /// The input under tap u of output i; it exists if it is < in (an index below 0 wraps round).
  HANDGRAD_HOST_DEVICE std::size_t input(std::size_t i, std::size_t u) const {
    return i * stride + u * dilation - padding;
  }
  /// Conversely, the output whose tap u sees input h, or `out` if there is none.
  HANDGRAD_HOST_DEVICE std::size_t output(std::size_t h, std::size_t u) const {
    const std::size_t at = h + padding, before = u * dilation;
    if (at < before || (at - before) % stride != 0) return out;
    const std::size_t i = (at - before) / stride;
    return i < out ? i : out;
  }
  /// The outputs first … end−1 are those whose windows may contain input h.
  HANDGRAD_HOST_DEVICE std::size_t first_output(std::size_t h) const {
    const std::size_t at = h + padding, reach = (kernel - 1) * dilation;
    return at <= reach ? 0 : (at - reach + stride - 1) / stride;
  }
  HANDGRAD_HOST_DEVICE std::size_t end_output(std::size_t h) const {
    const std::size_t end = (h + padding) / stride + 1;
    return end < out ? end : out;
  }
};

/// The divisor and windows of a mean.
struct Averaging {
  bool adaptive = false;             // windows from ⌊i·in/out⌋ to ⌈(i+1)·in/out⌉, whatever the axes say
  bool count_include_pad = true;     // the divisor includes padding
  std::size_t divisor_override = 0;  // the divisor; 0: the number of elements
};

/// Inputs begin … end−1, and their count for the divisor.
struct Span {
  std::size_t begin, end, counted;
};

HANDGRAD_HOST_DEVICE inline Span span(const Axis& a, std::size_t i, const Averaging& how) {
  if (how.adaptive) {
    const std::size_t begin = i * a.in / a.out, end = ((i + 1) * a.in + a.out - 1) / a.out;
    return {begin, end, end - begin};
  }
  // The window in the padded plane, which ends `padding` after the last input; then without the padding.
  const std::size_t first = i * a.stride, last = first + a.kernel, most = a.in + 2 * a.padding;
  const std::size_t stop = last < most ? last : most;
  const std::size_t begin = first < a.padding ? 0 : first - a.padding, end = stop < a.padding ? 0
                                                                             : stop - a.padding < a.in
                                                                                 ? stop - a.padding
                                                                                 : a.in;
  const std::size_t there = begin < end ? end - begin : 0;
  return {begin, begin + there, how.count_include_pad ? stop - first : there};
}

/// The divisor of a mean over a window of rows × columns.
HANDGRAD_HOST_DEVICE inline std::size_t divisor(const Span& rows, const Span& columns, const Averaging& how) {
  return how.divisor_override ? how.divisor_override : rows.counted * columns.counted;
}

/// The outputs whose spans may contain input h, as `first_output` and `end_output` above.
HANDGRAD_HOST_DEVICE inline std::size_t first_output(const Axis& a, std::size_t h, const Averaging& how) {
  return how.adaptive ? h * a.out / a.in : a.first_output(h);
}
HANDGRAD_HOST_DEVICE inline std::size_t end_output(const Axis& a, std::size_t h, const Averaging& how) {
  return how.adaptive ? ((h + 1) * a.out + a.in - 1) / a.in : a.end_output(h);
}

}  // namespace handgrad::formulas
