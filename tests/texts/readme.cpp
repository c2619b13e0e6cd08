// The README's C++, extracted by blocks.py: compiled, its program and its test run, and what it shows compared with
// what is printed.
#define BOOST_TEST_MODULE texts
#include <algorithm>
#include <boost/test/unit_test.hpp>
#include <sstream>

#include HANDGRAD_TEXTS_BLOCKS  // NOLINT(bugprone-suspicious-include): generated, to be included here

namespace {

std::vector<std::string> lines_of(const std::string& text) {
  std::istringstream in(text);
  std::vector<std::string> lines;
  for (std::string line; std::getline(in, line);) lines.push_back(line);
  return lines;
}

/// The indented block that begins with `begin`.
std::string shown(const std::string& begin) {
  for (const auto& [line, text] : texts_of_file)
    if (text.starts_with(begin)) return text;
  throw std::runtime_error("README.md: no block begins with '" + begin + "'");
}

}  // namespace

BOOST_AUTO_TEST_CASE(the_program_of_ten_lines) { ten_lines::run(); }

// The lines shown are those printed, in that order; `…` stands for lines left out, numbers for any of their kind.
BOOST_AUTO_TEST_CASE(the_report_without_the_line) {
  namespace block = a_layer_of_your_own_and_the_proof_that_it_is_right_without;
  block::Scale<double> layer;
  const auto report = handgrad::check_gradients(layer, handgrad::randn<double>({5, 3}));
  std::ostringstream out;
  out << report << report.diagnose();
  const auto printed = lines_of(out.str());
  BOOST_TEST_INFO_SCOPE(out.str());
  auto at = printed.begin();
  const auto same = [](std::string a, std::string b) {
    for (auto* text : {&a, &b}) {
      std::string plain;
      for (const char c : *text)
        if (!(c >= '0' && c <= '9') && c != '-' && c != '+')
          plain += c;
        else if (plain.empty() || plain.back() != '0')
          plain += '0';
      *text = plain;
    }
    return a == b;
  };
  for (const auto& line : lines_of(shown("gradients of Scale()"))) {
    if (line.ends_with("…")) continue;
    at = std::find_if(at, printed.end(), [&](const std::string& p) { return same(p, line); });
    BOOST_TEST((at != printed.end()), "not printed, or not there: " << line);
    if (at != printed.end()) ++at;
  }
}
