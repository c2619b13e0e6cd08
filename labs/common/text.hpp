#pragma once
#include <cstddef>
#include <string>

namespace handgrad::labs {

/// The number of letters that a terminal shows for UTF-8 text.
std::size_t letters(const std::string& text);
/// Padded with spaces to `width` letters.
std::string padded(const std::string& text, std::size_t width);
/// Wrapped at spaces into lines of at most 98 letters, each after `indent` more spaces.
std::string wrapped(const std::string& text, std::size_t indent = 0);

}  // namespace handgrad::labs
