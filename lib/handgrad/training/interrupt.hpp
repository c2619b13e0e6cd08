#pragma once
namespace handgrad {

/// While one lives, Ctrl-C (SIGINT) does not end the program but is remembered: loops look at `requested()` between
/// two steps and end in order. The second Ctrl-C does what it did before. Guards nest, a `fit` inside of a study, and
/// several threads may have some: all see the same request, which is forgotten when the first of them begins.
class InterruptGuard {
 public:
  InterruptGuard();
  ~InterruptGuard();
  InterruptGuard(const InterruptGuard&) = delete;
  InterruptGuard& operator=(const InterruptGuard&) = delete;

  static bool requested();
};

}  // namespace handgrad
