#pragma once
// The learner's folder: their files, and how far they are.
#include <map>
#include <set>
#include <string>

#include "exercises/engine/catalogue.hpp"

namespace handgrad::exercises {

/// DIR/05_linear_dW/{README.md, linear_dW.cpp}, DIR/exercise.hpp, DIR/progress.txt.
class Workshop {
 public:
  /// Makes what is missing in `folder`, and leaves alone what is there.
  static Workshop init(const std::string& folder);
  /// Opens `folder`; if empty, the one that one stands in, else the one that was made last. Throws IoError.
  explicit Workshop(const std::string& folder);

  const std::string& folder() const { return folder_; }
  std::string file(const Exercise& exercise) const;
  std::string readme(const Exercise& exercise) const;
  /// Puts the exercise's file back as it was at the beginning; the old one is kept beside it as NAME.cpp.old.
  void reset(const Exercise& exercise) const;

  const Exercise& current() const;
  /// The next one that has not passed, behind the current one or, after the last, from the first on; null if there is
  /// none.
  const Exercise* next_open() const;
  void go_to(const Exercise& exercise);
  bool passed(const Exercise& exercise) const { return passed_.count(exercise.name) > 0; }
  void set_passed(const Exercise& exercise, bool passed);
  std::size_t passed_count() const { return passed_.size(); }
  /// The next hint, counted; the last one again after that.
  std::string next_hint(const Exercise& exercise);

 private:
  void load();
  void save() const;
  std::string folder_, current_;
  std::set<std::string> passed_;
  std::map<std::string, std::size_t> hints_;
};

}  // namespace handgrad::exercises
