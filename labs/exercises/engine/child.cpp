// handgrad-exercise-check EXERCISE FILE.so SECONDS [--colour | --step]: runs an exercise's check against the learner's
// functions, in a process of its own, linked with the sanitizers that the learner's file is built with. Ends with 0
// when it passes. After so many seconds of computing it names the function in which it is, and ends. With --step it
// shows what each line of the file reads and writes, on a case small enough for paper.
#include <cxxabi.h>
#include <dlfcn.h>
#include <execinfo.h>
#include <sanitizer/asan_interface.h>
#include <signal.h>
#include <sys/time.h>
#include <unistd.h>

#include <algorithm>
#include <cctype>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <iomanip>
#include <iostream>
#include <string>
#include <vector>

#include "exercises/engine/after.hpp"

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

// ---- Stepping: what each line of the learner's file reads and writes

struct Access {
  const double* element;
  double value;
  std::string name;
};
struct Steps {
  unsigned line = 0;
  std::vector<Access> accesses;
  std::size_t printed = 0;
  std::vector<std::string> text;  // of the file
} steps;
constexpr std::size_t most_steps = 300;

std::string short_number(double v) {
  char digits[40];
  std::snprintf(digits, sizeof digits, "%.6g", v == 0 ? 0 : v);
  return digits;
}

/// The accesses of one line, and what they have changed. An element that is gone is not looked at again.
void tell() {
  if (steps.accesses.empty()) return;
  std::string read, written;
  for (std::size_t k = 0; k < steps.accesses.size(); ++k) {
    const Access& a = steps.accesses[k];
    const bool again = std::any_of(steps.accesses.begin(), steps.accesses.begin() + static_cast<std::ptrdiff_t>(k),
                                   [&](const Access& other) { return other.element == a.element; });
    if (again) continue;
    const bool alive = !__asan_address_is_poisoned(a.element);
    if (alive && (*a.element != a.value) && !(std::isnan(*a.element) && std::isnan(a.value)))
      written += "   " + a.name + ": " + short_number(a.value) + " → " + short_number(*a.element);
    else
      read += (read.empty() ? "" : ", ") + a.name + " = " + short_number(a.value);
  }
  if (steps.printed++ < most_steps) std::cout << "        " << read << written << '\n';
  steps.accesses.clear();
}

void hear(const double* element, int i, int j, const stepping::Place& place) {
  const std::string where = "[" + std::to_string(i) + (j < 0 ? "" : "," + std::to_string(j)) + "]";
  const bool known = place.line() > 0 && place.line() <= steps.text.size();
  const std::string name =
      (known ? handgrad::exercises::name_at(steps.text[place.line() - 1], place.column()) : "") + where;
  const bool round_again = std::any_of(steps.accesses.begin(), steps.accesses.end(), [&](const Access& a) {
    return a.name.substr(0, a.name.find('[')) == name.substr(0, name.find('[')) && a.element != element;
  });
  if (place.line() != steps.line || round_again) tell();
  if (place.line() != steps.line && steps.printed < most_steps) {
    std::string text = place.line() <= steps.text.size() ? steps.text[place.line() - 1] : "";
    text.erase(0, std::min(text.find_first_not_of(' '), text.size()));
    std::cout << "  " << std::setw(4) << place.line() << "  " << text << '\n';
  }
  steps.line = place.line();
  steps.accesses.push_back({element, *element, name});
}

int step_through(void* library, const handgrad::exercises::Check& check) {
  const auto listen = reinterpret_cast<void (*)(stepping::Listener)>(dlsym(library, "handgrad_exercise_listen"));
  const auto file = static_cast<const char* const*>(dlsym(library, "handgrad_exercise_file"));
  if (!listen || !file) return 2;
  std::ifstream in(*file);
  for (std::string line; std::getline(in, line);) steps.text.push_back(line);
  std::string after;
  try {
    after = check.step_through([&](bool on, const std::string& inputs) {
      if (on) std::cout << "  " << inputs << "\n\n";
      if (!on) tell();
      listen(on ? hear : nullptr);
      handgrad::exercises::taking_over = on ? tell : nullptr;
    });
  } catch (const std::exception& error) {
    tell();
    after = std::string("it threw: ") + error.what();
  }
  if (after.empty()) {
    std::cout << "there is no case small enough for paper in this exercise\n";
    return 0;
  }
  if (steps.printed > most_steps) std::cout << "  … " << steps.printed - most_steps << " more\n";
  std::cout << '\n' << "  " << after << '\n';
  return 0;
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
  const Check check = run_check(argv[1], static_cast<const Entry*>(entries));
  const std::string option = argc > 4 ? argv[4] : "";
  if (option == "--step") return step_through(library, check);
  print_verdict(std::cout, check, option == "--colour");
  if (check.report().passed()) print_after(std::cout, exercise(argv[1]), check);
  return check.report().passed() ? 0 : 1;
}
