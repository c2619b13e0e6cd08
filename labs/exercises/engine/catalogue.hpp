#pragma once
// The exercises' folders: 05_linear_dW holds README.md, exercise.cpp (the file with one fenced TODO), solution.cpp (the
// text between the fences), hints.md, check.cpp and mistakes.txt.
#include <string>
#include <vector>

namespace handgrad::exercises {

struct Exercise {
  std::string folder;  // "05_linear_dW"
  std::string name;    // "linear_dW"
  std::string title;   // the README's first line
  std::string source;  // the folder's path among the sources

  /// Whether its file comes complete, with a fault to find (f1_fault_residual).
  bool has_fault() const { return folder[0] == 'f'; }
  /// A file of the folder. Throws IoError.
  std::string text(const std::string& file) const;
  /// The learner's file with the solution between the fences.
  std::string solved() const { return with_solution(text("solution.cpp")); }
  std::string with_solution(const std::string& solution) const;
  /// Three hints: place, concept, formula.
  std::vector<std::string> hints() const;
};

/// What stands between the fences of a learner's file; all of it where there are none.
std::string fenced(const std::string& text);

/// All exercises in order.
const std::vector<Exercise>& exercises();
/// By name, folder or number ("linear_dW", "05_linear_dW", "5"). Throws ValueError listing the known ones.
const Exercise& exercise(const std::string& name);

/// The folder with the exercises and exercise.hpp.
std::string source_folder();

}  // namespace handgrad::exercises
