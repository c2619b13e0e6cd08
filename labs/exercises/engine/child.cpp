// handgrad-exercise-check EXERCISE FILE.so [--colour]: runs an exercise's check against the learner's functions, in a
// process of its own, linked with the sanitizers that the learner's file is built with. Ends with 0 when it passes.
#include <dlfcn.h>

#include <cstring>
#include <iostream>

#include "exercises/engine/check.hpp"

int main(int argc, char** argv) {
  using namespace handgrad::exercises;
  if (argc < 3) {
    std::cerr << "handgrad-exercise-check EXERCISE FILE.so [--colour]\n";
    return 2;
  }
  void* library = dlopen(argv[2], RTLD_NOW | RTLD_LOCAL);
  const void* entries = library ? dlsym(library, "handgrad_exercise") : nullptr;
  if (!entries) {
    std::cerr << dlerror() << '\n';
    return 2;
  }
  const auto report = run_check(argv[1], static_cast<const Entry*>(entries));
  print_verdict(std::cout, report, argc > 3 && std::strcmp(argv[3], "--colour") == 0);
  return report.passed() ? 0 : 1;
}
