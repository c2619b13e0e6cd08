#pragma once
// The learner's folder: their files and their progress.
#include <map>
#include <set>
#include <string>

#include "exercises/engine/catalogue.hpp"

namespace handgrad::exercises {

/// DIR/05_linear_dW/{README.md, linear_dW.cpp}, DIR/exercise.hpp, DIR/progress.txt.
class Workshop {
 public:
  /// Creates what is missing in `folder`, and leaves existing files alone.
  static Workshop init(const std::string& folder);
  /// Opens `folder`; if empty, the current folder, else the most recently made one. Throws IoError.
  explicit Workshop(const std::string& folder);

  const std::string& folder() const { return folder_; }
  std::string file(const Exercise& exercise) const;
  std::string readme(const Exercise& exercise) const;
  /// Restores the exercise's original file; keeps the old one beside it as NAME.cpp.old.
  void reset(const Exercise& exercise) const;

  const Exercise& current() const;
  /// The first exercise not yet passed; if that is the current one, which is skipped then, the next after it. Null if
  /// there is no other.
  const Exercise* next_open() const;
  void go_to(const Exercise& exercise);
  bool passed(const Exercise& exercise) const { return passed_.count(exercise.name) > 0; }
  void set_passed(const Exercise& exercise, bool passed);
  std::size_t passed_count() const { return passed_.size(); }
  /// Gives the next hint, and counts it; after the last, that one again.
  std::string next_hint(const Exercise& exercise);

 private:
  void load();
  void save() const;
  std::string folder_, current_;
  std::set<std::string> passed_;
  std::map<std::string, std::size_t> hints_;
};

}  // namespace handgrad::exercises
