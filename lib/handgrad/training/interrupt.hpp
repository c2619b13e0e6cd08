#pragma once
#include <memory>

namespace handgrad {

/// While one lives, Ctrl-C (SIGINT) does not end the program but is remembered: loops look at `requested()` between
/// two steps and end in order. The second Ctrl-C does what it did before. Guards nest, a `fit` inside of a study: all
/// see the same request, which is forgotten when the outermost guard begins.
class InterruptGuard {
 public:
  InterruptGuard();
  ~InterruptGuard();
  InterruptGuard(const InterruptGuard&) = delete;
  InterruptGuard& operator=(const InterruptGuard&) = delete;

  static bool requested();

 private:
  struct Before;
  std::unique_ptr<Before> before_;  // of the outermost: what SIGINT did
};

}  // namespace handgrad
