#pragma once
#include <chrono>
#include <cstddef>
#include <string>

#include "handgrad/training/fit.hpp"

namespace handgrad::detail {

/// The line that `fit` keeps rewriting while it runs, and leaves behind after each epoch.
class Progress {
 public:
  Progress(bool wanted, int epochs, std::size_t batches, std::vector<std::string> metrics);

  void begin_epoch(int epoch);
  /// After each batch; `loss()` is called only when the line is due, since on a GPU it waits.
  template <class F>
  void batch(std::size_t examples, F&& loss) {
    examples_ += examples;
    ++batch_;
    if (shown_ && due()) show(line(loss()));
  }
  void end_epoch(const EpochResult& result, bool best);

  /// Writes a separate line to standard error, terminal or not; nothing if progress is off.
  void say(const std::string& text);

  std::string line(double loss) const;
  std::string summary(const EpochResult& result, bool best) const;

 private:
  using Clock = std::chrono::steady_clock;
  bool due();
  void show(const std::string& text);
  double examples_per_second() const;
  std::string time_left(double epochs_done) const;

  bool wanted_, shown_;
  int epochs_, epoch_ = 0, first_ = 0;
  std::size_t batches_, batch_ = 0, examples_ = 0, width_ = 0;
  std::vector<std::string> metrics_;
  Clock::time_point begin_, epoch_begin_, last_;
};

}  // namespace handgrad::detail
