#include "handgrad/training/interrupt.hpp"

#include <atomic>
#include <csignal>
#include <mutex>

namespace handgrad {

namespace {

volatile std::sig_atomic_t interrupted = 0;
std::mutex changing;
std::atomic<int> guards{0};
struct sigaction before;  // the previous handling of SIGINT

extern "C" void remember_interrupt(int) { interrupted = 1; }

}  // namespace

InterruptGuard::InterruptGuard() {
  const std::lock_guard lock(changing);
  if (guards++ > 0) return;
  interrupted = 0;
  struct sigaction action {};
  action.sa_handler = remember_interrupt;
  sigemptyset(&action.sa_mask);
  // Once only: a second Ctrl-C ends a program that does not react. SA_RESTART lets a file write continue.
  action.sa_flags = static_cast<int>(SA_RESETHAND | SA_RESTART);
  sigaction(SIGINT, &action, &before);
}

InterruptGuard::~InterruptGuard() {
  const std::lock_guard lock(changing);
  if (--guards == 0) sigaction(SIGINT, &before, nullptr);
}

bool InterruptGuard::requested() { return guards > 0 && interrupted != 0; }

}  // namespace handgrad
