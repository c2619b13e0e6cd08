#pragma once
#include <string>

namespace handgrad {

/// The shortest text that reads back as the same number, as Python prints it: 0.01, 1.0, 1e-05.
std::string format_number(double number);

}  // namespace handgrad
