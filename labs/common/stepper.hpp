#pragma once
#include <cstddef>
#include <iosfwd>
#include <string>
#include <vector>

#include "common/lesson.hpp"

namespace handgrad::labs {

/// A position in a lesson's training: an assignment of a recorded step, and an element of its result. Going forward
/// past the end of a step makes the next one; going back shows what was recorded.
class Stepper {
 public:
  explicit Stepper(Lesson lesson);

  struct Recorded {
    trace::Trace trace;
    std::size_t epoch, batch;
    double loss;
  };

  /// Commands: next, back, forward, loss, backward, update (the next assignment of that phase), epoch, run nan, run
  /// loss < 0.1, run gradient < 0.01, run epoch 5, element 2, element 0 1. Returns a message, possibly empty. A run whose
  /// condition does not come true leaves everything as it was. Throws ValueError for an unknown command, listing the
  /// known ones.
  std::string command(const std::string& line);
  static const char* help();

  const Lesson& lesson() const { return training_.lesson(); }
  std::size_t batches() const { return training_.batches(); }
  const Recorded& recorded() const { return history_[step_]; }
  const trace::Trace& trace() const { return recorded().trace; }
  /// The assignment and the element in its result.
  std::size_t at() const { return at_; }
  std::size_t element() const { return element_; }
  const trace::Assignment& assignment() const { return trace().assignments[at_]; }
  /// Moves to another element of the result by rows and columns, within its bounds.
  void move(int rows, int columns);

 private:
  void record();
  void go(std::size_t at);
  struct Condition;
  std::string run(const Condition& condition);

  Training training_;
  std::vector<Recorded> history_;  // the most recent steps
  std::size_t step_ = 0, at_ = 0, element_ = 0;
};

/// One assignment as text, line by line, for pipes and screen readers.
std::string describe(const Stepper& stepper);
/// A tensor as an aligned table of at most `rows` × `columns` elements from row `top` and column `left` on; `marked`
/// elements with a star, `chosen` in brackets.
std::vector<std::string> table(const trace::Array& array, std::size_t rows, std::size_t columns, std::size_t top,
                               std::size_t left, const std::set<std::size_t>& marked, std::size_t chosen);
constexpr std::size_t nothing_chosen = static_cast<std::size_t>(-1);

/// The screen of the terminal stepper: `height` lines of at most `width` columns. `focus` is the table moved by the
/// window keys (0 is the result), `top` and `left` its window's position.
struct View {
  std::size_t width = 80, height = 24, focus = 0, top = 0, left = 0;
  bool colour = false;
  std::string message = {};
};
std::vector<std::string> screen(const Stepper& stepper, const View& view);

/// Runs the stepper until the user quits: in the terminal, or line by line if `plain`. Without a terminal for input,
/// prints one whole step. Returns the exit status.
int step_through(const std::string& lesson, bool plain);

}  // namespace handgrad::labs
