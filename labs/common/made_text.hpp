#pragma once
// A synthetic text for labs without one: written by a small grammar of known entropy.
#include <cstddef>
#include <cstdint>
#include <map>
#include <string>
#include <vector>

namespace handgrad::labs {

struct Text {
  std::string text;
  double entropy = 0;  // nats per character; 0: unknown
};

/// Sentences with a choice of equally likely words in each of seven places, up to `length` characters. No word of a
/// place is a prefix of another, so a reader always knows which choices were made, and the text has exactly their
/// entropy.
Text made_text(std::size_t length, std::uint64_t seed);

/// The characters of a text as numbers 0 … C−1, in their order.
struct Alphabet {
  explicit Alphabet(const std::string& text);
  std::vector<std::size_t> numbers_of(const std::string& text) const;
  std::size_t size() const { return letters.size(); }

  std::string letters;
  std::map<char, std::size_t> number;
};

/// Behind a bar, to distinguish it from the lab's own output.
std::string indented(const std::string& text);

}  // namespace handgrad::labs
