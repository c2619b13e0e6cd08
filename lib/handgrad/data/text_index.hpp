#pragma once
#include <array>
#include <cstddef>
#include <string_view>
#include <unordered_map>

namespace handgrad::detail {

/// Numbers for the distinct texts of a column, which are few and come again and again: one that came lately is found
/// without hashing all of it. The texts' memory is the caller's.
class TextIndex {
 public:
  static constexpr std::size_t none = static_cast<std::size_t>(-1);

  /// The text's number, or none.
  std::size_t find(std::string_view text) {
    Entry& lately = lately_[place(text)];
    if (lately.number == none || lately.text != text) {
      const auto found = numbers_.find(text);
      if (found == numbers_.end()) return none;
      lately = {text, found->second};
    }
    return lately.number;
  }
  /// Gives a text that is not there yet the next number.
  void add(std::string_view text) { numbers_.emplace(text, numbers_.size()); }

  auto begin() const { return numbers_.begin(); }
  auto end() const { return numbers_.end(); }

 private:
  struct Entry {
    std::string_view text;
    std::size_t number = none;
  };
  static std::size_t place(std::string_view text) {
    if (text.empty()) return 0;
    const auto at = [&](std::size_t i) { return std::size_t{static_cast<unsigned char>(text[i])}; };
    return (text.size() + 5 * at(text.size() / 2) + 3 * at(text.size() - 1)) % lately_size;
  }
  static constexpr std::size_t lately_size = 64;
  std::array<Entry, lately_size> lately_;
  std::unordered_map<std::string_view, std::size_t> numbers_;
};

}  // namespace handgrad::detail
