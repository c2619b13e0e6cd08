#pragma once
// Windows: their sizes in two dimensions, and padding.
#include <concepts>
#include <cstddef>
#include <string>

#include "handgrad/base/shape.hpp"

namespace handgrad {

/// Rows and columns; one number stands for both: `Conv2d(1, 8, 3)`, `Conv2d(1, 8, {3, 5})`.
struct Size2d {
  std::size_t height = 0, width = 0;
  Size2d(std::size_t both = 0) : height(both), width(both) {}
  Size2d(std::size_t h, std::size_t w) : height(h), width(w) {}
  bool operator==(const Size2d&) const = default;
};

/// Zeros on each side of a plane: `1`, `{1, 2}`, "valid" for none, or "same" for an output as large as the input; of an
/// odd number, the larger half is at the end.
struct Padding2d {
  Size2d size;
  bool same = false;
  template <std::integral I>
  Padding2d(I both) : size(static_cast<std::size_t>(both)) {}
  Padding2d(std::size_t rows, std::size_t columns) : size(rows, columns) {}
  /// Throws ValueError for any other word.
  Padding2d(const std::string& word);
  Padding2d(const char* word) : Padding2d(std::string(word)) {}
};

namespace detail {

/// An input (N, C, H, W), (C, H, W) or, in one dimension, (N, C, L), (C, L), seen as planes.
struct Planes {
  std::size_t batch = 1, channels, height = 1, width;
  /// Throws ShapeError unless the rank is spatial + 1 or + 2.
  Planes(const Shape& input, std::size_t spatial);
};
/// The input's shape with other channels and planes.
Shape with_planes(const Shape& input, std::size_t spatial, std::size_t channels, Size2d plane);
/// `(3, 5)` or, in one dimension, `(5,)`.
std::string tuple_text(const Size2d& size, std::size_t spatial);
/// `3` if both are equal, else `(3, 5)`.
std::string short_text(const Size2d& size);
/// Throws ValueError naming layer and argument if one of the numbers is 0.
void require_positive(const std::string& layer, const char* argument, const Size2d& size);

}  // namespace detail

}  // namespace handgrad
