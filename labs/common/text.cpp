#include "common/text.hpp"

#include <algorithm>
#include <sstream>

namespace handgrad::labs {

std::size_t letters(const std::string& text) {
  return static_cast<std::size_t>(std::count_if(text.begin(), text.end(), [](char c) { return (c & 0xC0) != 0x80; }));
}

std::string padded(const std::string& text, std::size_t width) {
  return text + std::string(width - std::min(width, letters(text)), ' ');
}

std::string wrapped(const std::string& text, std::size_t indent) {
  constexpr std::size_t width = 98;
  const std::string margin(indent, ' ');
  std::string lines, line = margin;
  std::istringstream in(text);
  for (std::string word; in >> word;) {
    if (line.size() > indent && letters(line) + 1 + letters(word) > width) {
      lines += line + '\n';
      line = margin;
    }
    line += (line.size() > indent ? " " : "") + word;
  }
  return lines + line;
}

}  // namespace handgrad::labs
