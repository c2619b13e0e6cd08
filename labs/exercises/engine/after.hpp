#pragma once
// What is said when an exercise has passed.
#include <iosfwd>
#include <map>
#include <string>
#include <vector>

#include "exercises/engine/catalogue.hpp"
#include "exercises/engine/check.hpp"

namespace handgrad::exercises {

/// after.md: a sentence on what one has now, and the same in PyTorch, as code that is indented.
struct After {
  std::string sentence, code;
};
After after(const Exercise& exercise);

/// pytorch.txt: what that code gives, as tests/reference/exercises.py wrote it down. `dW: 0.1 0.2 …`, row by row.
std::map<std::string, std::vector<double>> pytorch_numbers(const Exercise& exercise);

/// The sentence, the code, and the learner's numbers beside PyTorch's.
void print_after(std::ostream& out, const Exercise& exercise, const Check& check);

/// Two texts side by side where both fit into so many columns, else one below the other.
std::string beside(const std::string& left, const std::string& right, std::size_t columns);

}  // namespace handgrad::exercises
