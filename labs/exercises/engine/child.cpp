// handgrad-exercise-check EXERCISE FILE.so SECONDS [--colour]: runs an exercise's check against the learner's
// functions, in a separate process linked with the sanitizers of the learner's file. Exits with 0 if it passes. After
// SECONDS of computing it names the running function and ends.
#include <cxxabi.h>
#include <dlfcn.h>
#include <execinfo.h>
#include <signal.h>
#include <sys/time.h>
#include <unistd.h>

#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <iostream>
#include <string>

#include "exercises/engine/check.hpp"

namespace {

const char* learners_file = nullptr;
double seconds = 0;

/// The innermost learner's function that is running.
std::string running() {
  void* frames[64];
  const int count = backtrace(frames, 64);
  for (int i = 0; i < count; ++i) {
    Dl_info info;
    if (!dladdr(frames[i], &info) || !info.dli_sname || !info.dli_fname ||
        std::strcmp(info.dli_fname, learners_file) != 0)
      continue;
    int status = 0;
    char* readable = abi::__cxa_demangle(info.dli_sname, nullptr, nullptr, &status);
    std::string name = status == 0 ? readable : info.dli_sname;
    std::free(readable);
    name = name.substr(0, name.find('('));
    if (name.find("::") == std::string::npos) return name;  // Matrix::operator() is ours
  }
  return "";
}

// The process ends here, so doing what signal handlers must not do is harmless.
void stop(int) {
  const std::string name = running();
  char text[200];
  std::snprintf(text, sizeof text, "stopped after %g seconds%s%s: a loop without an end?\n", seconds,
                name.empty() ? "" : " in ", name.c_str());
  if (write(STDOUT_FILENO, text, std::strlen(text)) < 0) _exit(2);
  _exit(handgrad::exercises::too_long);
}

void stop_after(double limit) {
  seconds = limit;
  signal(SIGPROF, stop);
  const double whole = std::floor(limit);
  const itimerval timer{{0, 0}, {static_cast<time_t>(whole), static_cast<suseconds_t>((limit - whole) * 1e6)}};
  setitimer(ITIMER_PROF, &timer, nullptr);  // CPU time, since other programs may be busy
}

}  // namespace

int main(int argc, char** argv) {
  using namespace handgrad::exercises;
  if (argc < 4) {
    std::cerr << "handgrad-exercise-check EXERCISE FILE.so SECONDS [--colour]\n";
    return 2;
  }
  void* library = dlopen(argv[2], RTLD_NOW | RTLD_LOCAL);
  const void* entries = library ? dlsym(library, "handgrad_exercise") : nullptr;
  if (!entries) {
    std::cerr << dlerror() << '\n';
    return 2;
  }
  learners_file = argv[2];
  stop_after(std::strtod(argv[3], nullptr));
  const auto report = run_check(argv[1], static_cast<const Entry*>(entries));
  print_verdict(std::cout, report, argc > 4 && std::strcmp(argv[4], "--colour") == 0);
  return report.passed() ? 0 : 1;
}
