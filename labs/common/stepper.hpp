#pragma once
#include <cstddef>
#include <iosfwd>
#include <string>
#include <vector>

#include "common/lesson.hpp"

namespace handgrad::labs {

/// Where one stands in a lesson's training: at an assignment of a recorded step, looking at one element of its result.
/// Going forward past the end of a step makes the next one; going back shows what was recorded.
class Stepper {
 public:
  explicit Stepper(Lesson lesson);

  struct Recorded {
    trace::Trace trace;
    std::size_t epoch, batch;
    double loss;
  };

  /// What one types: next, back, forward, loss, backward, update (the next assignment of that phase), epoch, run nan,
  /// run gradient 0.01, element 2, element 0 1, show W. Returns a message, empty when there is nothing to say.
  /// Throws ValueError for what it does not understand, with what it would have understood.
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
  /// Moves to another element of the result, by rows and columns, as far as there are any.
  void move(int rows, int columns);

 private:
  void record();
  void go(std::size_t at);
  std::string run(double below, bool nan);

  Training training_;
  std::vector<Recorded> history_;  // the last ones
  std::size_t step_ = 0, at_ = 0, element_ = 0;
};

/// One assignment as text, line by line: for a pipe and for a screen reader.
std::string describe(const Stepper& stepper);
/// A tensor as an aligned table of at most so many rows and columns, `marked` elements with a star, `chosen` in
/// brackets; from row and column `top`, `left` on.
std::vector<std::string> table(const trace::Array& array, std::size_t rows, std::size_t columns, std::size_t top,
                               std::size_t left, const std::set<std::size_t>& marked, std::size_t chosen);
constexpr std::size_t nothing_chosen = static_cast<std::size_t>(-1);

/// The screen of the terminal stepper: `height` lines of at most `width` columns. `focus`: which table the window keys
/// move (0 is the result), `top` and `left` where its window stands.
struct View {
  std::size_t width = 80, height = 24, focus = 0, top = 0, left = 0;
  bool colour = false;
  std::string message = {};
};
std::vector<std::string> screen(const Stepper& stepper, const View& view);

/// Runs the stepper until one quits: in the terminal, or line by line when `plain`. Without a terminal to type at,
/// prints one whole step. Returns the exit status.
int step_through(const std::string& lesson, bool plain);

}  // namespace handgrad::labs
