#pragma once
// Compiles and checks the learner's file.
#include <functional>
#include <string>
#include <vector>

#include "exercises/engine/catalogue.hpp"

namespace handgrad::exercises {

/// The text of a file that includes `file` and lists its functions for the check, in `symbol`.
std::string glue(const std::string& file, const std::vector<std::string>& functions,
                 const std::string& symbol = "handgrad_exercise");

/// A command's output and how it ended.
struct Outcome {
  int status = 0;  // exit status, or 128 + the signal's number
  bool timed_out = false;
  bool stopped = false;  // on request of `stop`
  std::string output;
};
/// Runs a program in a child process, with standard output and error together, for at most `seconds`, or until `stop`,
/// polled ten times a second, returns true.
Outcome run_command(const std::vector<std::string>& command, double seconds, const std::function<bool()>& stop = {});

/// The compiler that built this program, with C++20, warnings and `flags`, making a shared object of `source`.
std::vector<std::string> compile_command(const std::string& source, const std::string& output,
                                         const std::vector<std::string>& flags);

struct Result {
  bool passed = false;
  std::string text;      // to print
  bool stopped = false;  // before the result was known
};
/// Builds the learner's file with warnings and sanitizers, and runs the exercise's check in a child process. A function
/// that computes for more than `limit` seconds is stopped and named; `stop` ends everything.
Result check_file(const Exercise& exercise, const std::string& file, bool colour, double limit = 2,
                  const std::function<bool()>& stop = {});

/// Runs the learner's function on a case small enough for paper: what each line reads and writes, one after the other.
Result step_file(const Exercise& exercise, const std::string& file, double limit = 2);

}  // namespace handgrad::exercises
