#include "exercises/engine/repairs.hpp"

#include <algorithm>
#include <regex>
#include <set>
#include <sstream>

namespace handgrad::exercises {

namespace {

std::size_t line_at(const std::string& text, std::size_t place) {
  return static_cast<std::size_t>(std::count(text.begin(), text.begin() + static_cast<std::ptrdiff_t>(place), '\n')) +
         1;
}

/// The same text with comments blanked out, so that places stay what they are.
std::string without_comments(std::string text) {
  for (std::size_t at = 0; (at = text.find("//", at)) != std::string::npos;)
    for (; at < text.size() && text[at] != '\n'; ++at) text[at] = ' ';
  return text;
}

/// Names that are declared as int: `const int N = …, H = …`, a loop's, a parameter.
std::set<std::string> whole_names(const std::string& text) {
  std::set<std::string> names;
  static const std::regex declared(R"(\bint\s+([^;(){]*))"), name(R"((?:^|,)\s*([A-Za-z_]\w*))");
  for (std::sregex_iterator it(text.begin(), text.end(), declared), end; it != end; ++it) {
    const std::string list = (*it)[1];
    for (std::sregex_iterator n(list.begin(), list.end(), name); n != end; ++n) names.insert((*n)[1]);
  }
  return names;
}

/// A whole number, maybe: a literal, a name, or a call such as x.rows().
const std::string operand = R"(([A-Za-z_]\w*\.(?:rows|cols|size)\(\)|[A-Za-z_]\w*|\d+))";

bool is_whole(const std::string& word, const std::set<std::string>& names) {
  return word.ends_with("()") || std::isdigit(static_cast<unsigned char>(word[0])) || names.count(word) > 0;
}

}  // namespace

std::vector<Repair> integer_divisions(const std::string& text) {
  const std::string code = without_comments(text);
  const std::set<std::string> names = whole_names(code);
  // Left of the sign a whole number that is no factor of something else; right of it one that goes on with no point,
  // call or index.
  static const std::regex left_of("(?:^|[^\\w.])" + operand + "\\s*$"), right_of("^\\s*" + operand + R"((?![\w.(\[]))");
  std::string mended = text, first;
  std::size_t first_line = 0, count = 0;
  for (std::size_t at = 0; (at = code.find('/', at)) != std::string::npos; ++at) {
    const std::size_t begin = code.rfind('\n', at) + 1;
    const std::string before = code.substr(begin, at - begin), behind = code.substr(at + 1, 100);
    std::smatch left, right;
    if (!std::regex_search(before, left, left_of) || !std::regex_search(behind, right, right_of)) continue;
    if (!is_whole(left[1], names) || !is_whole(right[1], names)) continue;
    const auto place = static_cast<std::size_t>(left.position(1));
    const std::size_t last = before.find_last_not_of(' ', place == 0 ? 0 : place - 1);
    if (place > 0 && last != std::string::npos && std::string("*/)]").find(before[last]) != std::string::npos) continue;
    mended.insert(begin + place + 6 * count, "1.0 * ");
    if (count++ > 0) continue;
    first = left[1].str() + " / " + right[1].str();
    first_line = line_at(code, at);
  }
  if (count == 0) return {};
  return {{mended, "a division of whole numbers: " + first + " is cut to a whole number",
           "with 1.0 * " + first + " in its place it passes",
           "line " + std::to_string(first_line) + ": one of the two must be a double, as in 1.0 / N"}};
}

std::vector<Repair> integer_variables(const std::string& text, const std::string& said, const std::string& file) {
  std::vector<std::string> lines;
  std::istringstream in(text);
  for (std::string line; std::getline(in, line);) lines.push_back(line);
  static const std::regex warned(
      R"(:(\d+):\d+: warning: (?:conversion from .{1,3}double.{1,3} to .{1,3}int|implicit conversion turns floating-point number into integer: 'double' to 'int'))");
  static const std::regex assigned(R"(([A-Za-z_]\w*)\s*[-+*/]?=[^=])");
  std::string mended = text, first;
  std::size_t first_line = 0;
  std::istringstream output(said);
  for (std::string line; std::getline(output, line);) {
    std::smatch match, target;
    if (line.find(file) == std::string::npos || !std::regex_search(line, match, warned)) continue;
    const std::size_t number = std::stoul(match[1]);
    if (number == 0 || number > lines.size()) continue;
    for (std::sregex_iterator it(lines[number - 1].begin(), lines[number - 1].end(), assigned), end; it != end; ++it) {
      const std::string name = (*it)[1], before = mended;
      mended = std::regex_replace(mended, std::regex("\\bint(\\s+" + name + "\\b)"), "double$1");
      if (mended != before && first.empty()) first = name, first_line = number;
    }
  }
  if (first.empty()) return {};
  return {{mended, first + " is an int: what is put there loses its fraction", "with double " + first + " it passes",
           "line " + std::to_string(first_line) + ", and where " + first + " is declared"}};
}

}  // namespace handgrad::exercises
