#pragma once
#include <cstdint>
#include <limits>
#include <string>
#include <string_view>

namespace handgrad {

/// The shortest text that reads back as the same number, as Python prints it: 0.01, 1.0, 1e-05.
std::string format_number(double number);

/// As printf would format it in the "C" locale: a program with windows often has one of decimal commas.
[[gnu::format(printf, 1, 2)]] std::string formatted(const char* format, ...);

/// Reads a number that takes up the whole text, whatever the locale; what format_number wrote comes back bit for bit.
/// False for any other text, and beyond double's range.
bool read_number(std::string_view text, double& number);

/// `number` of a stored state, if it is a whole one from 0 to `most`; otherwise throws ValueError naming it.
std::int64_t whole_number(const std::string& name, double number,
                          std::int64_t most = std::numeric_limits<std::int64_t>::max() / 1024);

}  // namespace handgrad
