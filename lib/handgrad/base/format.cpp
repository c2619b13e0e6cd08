#include "handgrad/base/format.hpp"

#include <locale.h>  // uselocale

#include <algorithm>
#include <charconv>
#include <cmath>
#include <cstdarg>
#include <cstdio>

#include "handgrad/base/errors.hpp"

namespace handgrad {

std::string format_number(double number) {
  char text[40];
  const double size = std::abs(number);
  const bool plain = size == 0 || (size >= 1e-4 && size < 1e16);
  const auto format = plain ? std::chars_format::fixed : std::chars_format::scientific;
  std::string shortest(text, std::to_chars(text, text + sizeof text, number, format).ptr);
  if (std::isfinite(number) && shortest.find_first_of(".e") == std::string::npos) shortest += ".0";
  return shortest;
}

namespace {

/// The thread's locale is "C" while it lives.
class PlainLocale {
 public:
  PlainLocale() : before_(uselocale(plain())) {}
  ~PlainLocale() { uselocale(before_); }
  PlainLocale(const PlainLocale&) = delete;

 private:
  static locale_t plain() {
    static const locale_t locale = newlocale(LC_ALL_MASK, "C", nullptr);
    return locale;
  }
  locale_t before_;
};

}  // namespace

std::string formatted(const char* format, ...) {
  const PlainLocale plain;
  std::va_list values, again;
  va_start(values, format);
  va_copy(again, values);
  std::string text(static_cast<std::size_t>(std::max(0, std::vsnprintf(nullptr, 0, format, values))), ' ');
  std::vsnprintf(text.data(), text.size() + 1, format, again);
  va_end(again);
  va_end(values);
  return text;
}

bool read_number(std::string_view text, double& number) {
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  return !text.empty() && error == std::errc() && end == text.data() + text.size();
}

std::int64_t whole_number(const std::string& name, double number, std::int64_t most) {
  if (!(number >= 0 && number <= static_cast<double>(most) && number == std::floor(number)))
    throw ValueError(name + " is " + format_number(number) + ", a whole number from 0 to " + std::to_string(most) +
                     " expected");
  return static_cast<std::int64_t>(number);
}

}  // namespace handgrad
