#pragma once
namespace handgrad {

/// While a guard lives, Ctrl-C (SIGINT) does not end the program but is remembered, for loops to check `requested()`
/// between steps and end in order. A second Ctrl-C acts as before. Guards nest (a `fit` inside a study), and several
/// threads may have some: all see the same request, which is cleared when the first guard begins.
class InterruptGuard {
 public:
  InterruptGuard();
  ~InterruptGuard();
  InterruptGuard(const InterruptGuard&) = delete;
  InterruptGuard& operator=(const InterruptGuard&) = delete;

  /// Whether the user has pressed Ctrl-C.
  static bool requested();
};

}  // namespace handgrad
