#pragma once
// The exercises' folders: 05_linear_dW holds README.md, exercise.cpp (the file with one fenced TODO), solution.cpp
// (what belongs between the fences), hints.md, check.cpp and mistakes.txt.
#include <string>
#include <vector>

namespace handgrad::exercises {

struct Exercise {
  std::string folder;  // "05_linear_dW"
  std::string name;    // "linear_dW"
  std::string title;   // the README's first line
  std::string source;  // the folder's path among the sources

  /// Is it one of those (f1_fault_residual) whose file comes filled in, with a fault to be found?
  bool has_fault() const { return folder[0] == 'f'; }
  /// A file of the folder. Throws IoError.
  std::string text(const std::string& file) const;
  /// The learner's file with the solution between the fences.
  std::string solved() const { return with_solution(text("solution.cpp")); }
  std::string with_solution(const std::string& solution) const;
  /// Three: place, concept, formula.
  std::vector<std::string> hints() const;
};

/// All of them, in their order.
const std::vector<Exercise>& exercises();
/// By name, folder or number ("linear_dW", "05_linear_dW", "5"). Throws ValueError naming those that there are.
const Exercise& exercise(const std::string& name);

/// Where they and exercise.hpp lie.
std::string source_folder();

}  // namespace handgrad::exercises
