#pragma once
// A text that the labs make where the user has none at hand: written by a small grammar, whose entropy is known.
#include <cstddef>
#include <cstdint>
#include <map>
#include <string>
#include <vector>

namespace handgrad::labs {

struct Text {
  std::string text;
  double entropy = 0;  // nats a character; 0: unknown
};

/// Sentences with a choice of words in each of seven places, each as likely as the others, until there are `length`
/// characters. None of a place's words begins another, so that a reader always knows which choices were made, and the
/// text has exactly their entropy.
Text made_text(std::size_t length, std::uint64_t seed);

/// The characters of a text as numbers 0 … C−1, in their order.
struct Alphabet {
  explicit Alphabet(const std::string& text);
  std::vector<std::size_t> numbers_of(const std::string& text) const;
  std::size_t size() const { return letters.size(); }

  std::string letters;
  std::map<char, std::size_t> number;
};

/// Behind a bar, to be told from what the lab says.
std::string indented(const std::string& text);

}  // namespace handgrad::labs
