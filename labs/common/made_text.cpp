#include "common/made_text.hpp"

#include <algorithm>
#include <cmath>

#include "handgrad/base/random.hpp"

namespace handgrad::labs {

namespace {

using Choice = std::vector<std::string>;

const std::vector<Choice>& sentence() {
  static const std::vector<Choice> places{{"the ", "a "},
                                          {"small ", "old ", "quiet ", "bright "},
                                          {"cat", "dog", "bird", "fox"},
                                          {" sees ", " follows ", " hears ", " likes "},
                                          {"the ", "a "},
                                          {"river", "house", "moon", "garden"},
                                          {".\n", " at night.\n", " in spring.\n", " again.\n"}};
  return places;
}

}  // namespace

Text made_text(std::size_t length, std::uint64_t seed) {
  Generator generator(seed);
  Text made;
  std::size_t sentences = 0;
  for (; made.text.size() < length; ++sentences)
    for (const Choice& choice : sentence()) made.text += choice[generator.random() % choice.size()];
  double of_sentence = 0;
  for (const Choice& choice : sentence()) of_sentence += std::log(static_cast<double>(choice.size()));
  made.entropy = of_sentence * static_cast<double>(sentences) / static_cast<double>(made.text.size());
  return made;
}

Alphabet::Alphabet(const std::string& text) {
  for (const char letter : text)
    if (number.emplace(letter, 0).second) letters += letter;
  std::sort(letters.begin(), letters.end());
  for (std::size_t i = 0; i < letters.size(); ++i) number[letters[i]] = i;
}

std::vector<std::size_t> Alphabet::numbers_of(const std::string& text) const {
  std::vector<std::size_t> numbers;
  for (const char letter : text) numbers.push_back(number.at(letter));
  return numbers;
}

std::string indented(const std::string& text) {
  std::string out = "    | ";
  for (const char letter : text) out += letter == '\n' ? "\n    | " : std::string(1, letter);
  return out + '\n';
}

}  // namespace handgrad::labs
