#include "handgrad/format.hpp"

#include <charconv>
#include <cmath>

namespace handgrad {

std::string format_number(double number) {
  char text[40];
  const double size = std::abs(number);
  const bool plain = size == 0 || (size >= 1e-4 && size < 1e16);
  const auto format = plain ? std::chars_format::fixed : std::chars_format::scientific;
  std::string shortest(text, std::to_chars(text, text + sizeof text, number, format).ptr);
  if (std::isfinite(number) && shortest.find_first_of(".e") == std::string::npos) shortest += ".0";
  return shortest;
}

}  // namespace handgrad
