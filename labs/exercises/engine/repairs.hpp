#pragma once
// Mistakes that can be read off the learner's file, and mended there: named only when the file, mended, passes.
#include <string>
#include <vector>

namespace handgrad::exercises {

struct Repair {
  std::string text;  // the whole file, mended
  std::string what, evidence, where;
};

/// `1 / N` with whole numbers on both sides, taken for fractions.
std::vector<Repair> integer_divisions(const std::string& text);
/// `int y = …` where the compiler says that a fraction is put there; `said` is its output, about `file`.
std::vector<Repair> integer_variables(const std::string& text, const std::string& said, const std::string& file);

}  // namespace handgrad::exercises
