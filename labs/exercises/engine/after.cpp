#include "exercises/engine/after.hpp"

#include <algorithm>
#include <cstdio>
#include <filesystem>
#include <ostream>
#include <sstream>
#include <utility>

#include "handgrad/io/files.hpp"

namespace handgrad::exercises {

namespace {

std::string text_or_nothing(const Exercise& e, const std::string& file) {
  return std::filesystem::exists(e.source + "/" + file) ? e.text(file) : "";
}

/// Letters and signs, not bytes.
std::size_t width(const std::string& text) {
  return static_cast<std::size_t>(std::count_if(text.begin(), text.end(), [](char c) { return (c & 0xC0) != 0x80; }));
}

std::vector<std::string> lines_of(const std::string& text) {
  std::vector<std::string> lines;
  std::istringstream in(text);
  for (std::string line; std::getline(in, line);) lines.push_back(line);
  while (!lines.empty() && lines.back().empty()) lines.pop_back();
  while (!lines.empty() && lines.front().empty()) lines.erase(lines.begin());
  return lines;
}

/// For a screen of 80 columns.
std::string wrapped(const std::string& text) {
  std::istringstream in(text);
  std::string lines, line;
  for (std::string word; in >> word;) {
    if (!line.empty() && width(line) + 1 + width(word) > 79) lines += std::exchange(line, "") + "\n";
    line += (line.empty() ? "" : " ") + word;
  }
  return lines + line + "\n";
}

/// The first three.
std::string some(const std::vector<double>& numbers) {
  std::string text;
  for (std::size_t i = 0; i < std::min<std::size_t>(3, numbers.size()); ++i) {
    char digits[40];
    std::snprintf(digits, sizeof digits, "%12.8f", numbers[i]);
    text += digits;
  }
  return text + (numbers.size() > 3 ? " …" : "");
}

}  // namespace

After after(const Exercise& e) {
  After result;
  for (const std::string& line : lines_of(text_or_nothing(e, "after.md")))
    if (line.starts_with("    "))
      result.code += line + "\n";
    else if (!line.empty())
      result.sentence += line + "\n";
  return result;
}

std::map<std::string, std::vector<double>> pytorch_numbers(const Exercise& e) {
  std::map<std::string, std::vector<double>> all;
  for (const std::string& line : lines_of(text_or_nothing(e, "pytorch.txt"))) {
    const std::size_t colon = line.find(": ");
    if (colon == std::string::npos) continue;
    std::istringstream numbers(line.substr(colon + 1));
    for (double number; numbers >> number;) all[line.substr(0, colon)].push_back(number);
  }
  return all;
}

void print_after(std::ostream& out, const Exercise& e, const Check& check) {
  if (!check.picture().empty()) out << '\n' << check.picture();
  const After text = after(e);
  out << '\n' << wrapped(text.sentence);
  if (text.code.empty()) return;
  out << "\nThe same in PyTorch, and what it gives:\n\n" << text.code << '\n';
  for (const auto& [name, numbers] : pytorch_numbers(e)) {
    const auto& tensors = check.report().tensors;
    const auto yours =
        std::find_if(tensors.begin(), tensors.end(), [&, n = name](const auto& t) { return t.name == n; });
    if (yours == tensors.end()) continue;
    out << "  " << name << std::string(width(name) < 10 ? 10 - width(name) : 1, ' ') << "yours   "
        << some(yours->analytic.to_vector()) << "\n            PyTorch " << some(numbers) << '\n';
  }
}

std::string beside(const std::string& left, const std::string& right, std::size_t columns) {
  const std::vector<std::string> a = lines_of(left), b = lines_of(right);
  std::size_t wide = 10, other = 10;
  for (const std::string& line : a) wide = std::max(wide, width(line));
  for (const std::string& line : b) other = std::max(other, width(line));
  std::string text;
  if (wide + 3 + other > columns) {
    text = "yours\n\n";
    for (const std::string& line : a) text += line + "\n";
    text += "\nthe model solution\n\n";
    for (const std::string& line : b) text += line + "\n";
    return text;
  }
  const auto row = [&](const std::string& l, const std::string& r) {
    text += l + (r.empty() ? "" : std::string(wide - width(l), ' ') + " │ " + r) + "\n";
  };
  row("yours", "the model solution");
  for (std::size_t i = 0; i < std::max(a.size(), b.size()); ++i)
    row(i < a.size() ? a[i] : "", i < b.size() ? b[i] : "");
  return text;
}

}  // namespace handgrad::exercises
