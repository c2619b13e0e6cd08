#pragma once
#include <cstddef>
#include <string>

namespace handgrad::labs {

/// How many letters a terminal shows of UTF-8.
std::size_t letters(const std::string& text);
/// With blanks behind it, up to `width` letters.
std::string padded(const std::string& text, std::size_t width);
/// In lines of at most 98 letters, broken at blanks, each after `indent` more of them.
std::string wrapped(const std::string& text, std::size_t indent = 0);

}  // namespace handgrad::labs
