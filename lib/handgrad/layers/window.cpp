#include "handgrad/layers/window.hpp"

#include "handgrad/base/errors.hpp"

namespace handgrad {

Padding2d::Padding2d(const std::string& word) : same(word == "same") {
  if (word != "same" && word != "valid")
    throw ValueError("padding: a number, \"valid\" or \"same\" expected, \"" + word + "\" came");
}

namespace detail {

Planes::Planes(const Shape& input, std::size_t spatial) {
  if (input.rank() != spatial + 1 && input.rank() != spatial + 2)
    throw ShapeError(std::string("an input of shape ") +
                     (spatial == 2 ? "(N, C, H, W) or (C, H, W)" : "(N, C, L) or (C, L)") + " expected, one of shape " +
                     input.str() + " came");
  const int n = static_cast<int>(spatial);
  if (input.rank() == spatial + 2) batch = input[0];
  channels = input[-n - 1];
  width = input[-1];
  if (spatial == 2) height = input[-2];
}

Shape with_planes(const Shape& input, std::size_t spatial, std::size_t channels, Size2d plane) {
  Shape output = input;
  output[-static_cast<int>(spatial) - 1] = channels;
  output[-1] = plane.width;
  if (spatial == 2) output[-2] = plane.height;
  return output;
}

std::string tuple_text(const Size2d& size, std::size_t spatial) {
  return spatial == 2 ? "(" + std::to_string(size.height) + ", " + std::to_string(size.width) + ")"
                      : "(" + std::to_string(size.width) + ",)";
}

std::string short_text(const Size2d& size) {
  return size.height == size.width ? std::to_string(size.height) : tuple_text(size, 2);
}

void require_positive(const std::string& layer, const char* argument, const Size2d& size) {
  if (size.height == 0 || size.width == 0)
    throw ValueError(layer + ": " + argument + " = " + short_text(size) + ", at least 1 expected");
}

}  // namespace detail
}  // namespace handgrad
