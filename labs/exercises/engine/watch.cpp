#include "exercises/engine/watch.hpp"

#include <poll.h>
#include <sys/ioctl.h>
#include <termios.h>
#include <unistd.h>

#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <iostream>

#include "exercises/engine/after.hpp"
#include "exercises/engine/build.hpp"
#include "handgrad/io/files.hpp"

namespace handgrad::exercises {

namespace fs = std::filesystem;

namespace {

bool colours() { return isatty(STDOUT_FILENO) && std::getenv("NO_COLOR") == nullptr; }
std::string bold(const std::string& text) { return colours() ? "\x1b[1m" + text + "\x1b[0m" : text; }

void print_heading(const Workshop& workshop, const Exercise& e) {
  std::cout << progress_line(workshop) << "\n\n"
            << bold(e.folder.substr(0, 2) + "  " + e.title) << "\n   read  " << workshop.readme(e) << "\n   edit  "
            << workshop.file(e) << "\n\n";
}

/// Reads keys one by one without echo, until destroyed.
class RawTerminal {
 public:
  RawTerminal() {
    tcgetattr(STDIN_FILENO, &before_);
    termios raw = before_;
    raw.c_lflag &= ~static_cast<tcflag_t>(ICANON | ECHO);
    tcsetattr(STDIN_FILENO, TCSANOW, &raw);
  }
  ~RawTerminal() { tcsetattr(STDIN_FILENO, TCSANOW, &before_); }
  RawTerminal(const RawTerminal&) = delete;

 private:
  termios before_;
};

/// A key, if one comes within a tenth of a second; 0 if not, 'q' at the end of input.
char key() {
  pollfd waiting{STDIN_FILENO, POLLIN, 0};
  if (poll(&waiting, 1, 100) <= 0) return 0;
  char c = 0;
  return read(STDIN_FILENO, &c, 1) == 1 ? c : 'q';
}

using Stamp = std::pair<fs::file_time_type, std::uintmax_t>;
Stamp stamp(const std::string& file) {
  std::error_code error;
  const auto time = fs::last_write_time(file, error);
  return error ? Stamp{} : Stamp{time, fs::file_size(file, error)};
}

}  // namespace

std::string progress_line(const Workshop& workshop) {
  const std::size_t all = exercises().size(), done = workshop.passed_count();
  return "[" + std::string(done, '#') + std::string(all - done, '-') + "] " + std::to_string(done) + "/" +
         std::to_string(all);
}

bool check_and_print(Workshop& workshop, const Exercise& e, const std::function<bool()>& stop) {
  const Result verdict = check_file(e, workshop.file(e), colours(), 2, stop);
  if (verdict.stopped) return false;
  workshop.set_passed(e, verdict.passed);
  std::cout << verdict.text << (verdict.passed ? "\n" + bold("Passed.") + " " : "\n" + bold("Not yet.") + " ")
            << progress_line(workshop) << '\n'
            << std::flush;
  return verdict.passed;
}

std::string solution_beside(const Workshop& workshop, const Exercise& e) {
  winsize size{};
  const bool known = ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 0;
  return beside(fenced(read_file(workshop.file(e))), e.text("solution.cpp"), known ? size.ws_col : 80);
}

void print_list(const Workshop& workshop) {
  for (const Exercise& e : exercises())
    std::cout << (e.name == workshop.current().name ? "> " : "  ") << (workshop.passed(e) ? "[x] " : "[ ] ")
              << e.folder.substr(0, 2) << "  " << e.name
              << std::string(e.name.size() < 24 ? 24 - e.name.size() : 1, ' ') << e.title << '\n';
  std::cout << progress_line(workshop) << '\n';
}

int watch(Workshop& workshop) {
  if (!isatty(STDIN_FILENO)) {
    print_heading(workshop, workshop.current());
    return check_and_print(workshop, workshop.current()) ? 0 : 1;
  }
  const RawTerminal raw;
  const auto clear = [] { std::cout << (isatty(STDOUT_FILENO) ? "\x1b[2J\x1b[H" : "\n") << std::flush; };
  const auto keys = [&] {
    std::cout << "\nSave the file to check it again.\n"
              << (workshop.passed(workshop.current()) ? "n next  m model solution  " : "n skip  h hint  ")
              << "s step  l list  r reset  q quit\n"
              << std::flush;
  };
  Stamp seen;
  char before = 0;  // the previous key, for commands of two keys
  const Exercise* watched = nullptr;
  for (;;) {
    const Exercise& e = workshop.current();
    if (const Stamp now = stamp(workshop.file(e)); now != seen || watched != &e) {
      seen = now;
      watched = &e;
      clear();
      print_heading(workshop, e);
      std::cout << "checking …\n" << std::flush;
      const auto start = std::chrono::steady_clock::now();
      check_and_print(workshop, e, [&] { return stamp(workshop.file(e)) != seen; });
      if (stamp(workshop.file(e)) != seen) continue;  // saved meanwhile: this run is outdated
      std::cout
          << "("
          << std::chrono::duration_cast<std::chrono::milliseconds>(std::chrono::steady_clock::now() - start).count()
          << " ms)\n";
      if (workshop.passed(e) && !workshop.next_open()) std::cout << "That was the last one.\n";
      keys();
    }
    const char c = key();
    if (c == 0) continue;
    if (c == 'q' || c == 4) return 0;
    if (c == 'h') std::cout << '\n' << workshop.next_hint(e), keys();
    if (c == 's') std::cout << '\n' << step_file(e, workshop.file(e)).text, keys();
    if (c == 'm' && workshop.passed(e)) std::cout << '\n' << solution_beside(workshop, e), keys();
    if (c == 'l') std::cout << '\n', print_list(workshop), keys();
    if (c == 'r') {
      if (before == 'r')
        workshop.reset(e);
      else
        std::cout << "\nr again puts " << workshop.file(e) << " back as it was (yours is kept as .old).\n"
                  << std::flush;
    }
    if (c == 'n') {
      if (const Exercise* next = workshop.next_open(); !next)
        std::cout << "\nAll others have passed.\n" << std::flush;
      else if (workshop.passed(e) || before == 'n')
        workshop.go_to(*next);
      else
        std::cout << "\nNot passed yet; n again goes on all the same.\n" << std::flush;
    }
    before = before == c ? 0 : c;
  }
}

}  // namespace handgrad::exercises
