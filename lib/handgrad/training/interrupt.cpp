#include "handgrad/training/interrupt.hpp"

#include <atomic>
#include <csignal>

namespace handgrad {

namespace {

volatile std::sig_atomic_t interrupted = 0;
std::atomic<int> guards{0};

extern "C" void remember_interrupt(int) { interrupted = 1; }

}  // namespace

struct InterruptGuard::Before {
  struct sigaction action;
};

InterruptGuard::InterruptGuard() {
  if (guards++ > 0) return;
  interrupted = 0;
  before_ = std::make_unique<Before>();
  struct sigaction action {};
  action.sa_handler = remember_interrupt;
  sigemptyset(&action.sa_mask);
  // Once: the second Ctrl-C ends a program that does not react. A file being written is written on.
  action.sa_flags = static_cast<int>(SA_RESETHAND | SA_RESTART);
  sigaction(SIGINT, &action, &before_->action);
}

InterruptGuard::~InterruptGuard() {
  --guards;
  if (before_) sigaction(SIGINT, &before_->action, nullptr);
}

bool InterruptGuard::requested() { return guards > 0 && interrupted != 0; }

}  // namespace handgrad
