// The terminal: reads keys, draws screens; and the plain form for pipes and screen readers.
#include <poll.h>
#include <sys/ioctl.h>
#include <termios.h>
#include <unistd.h>

#include <csignal>
#include <cstdlib>
#include <iostream>

#include "common/lab.hpp"
#include "common/stepper.hpp"
#include "handgrad/base/errors.hpp"

namespace handgrad::labs {

namespace {

volatile std::sig_atomic_t interrupted = 0;

/// Reads single keys on an alternate screen until its end, even if something throws or a signal comes.
class RawTerminal {
 public:
  RawTerminal() {
    tcgetattr(STDIN_FILENO, &before_);
    termios raw = before_;
    raw.c_lflag &= static_cast<tcflag_t>(~(ICANON | ECHO));
    raw.c_cc[VMIN] = 1, raw.c_cc[VTIME] = 0;
    tcsetattr(STDIN_FILENO, TCSAFLUSH, &raw);
    std::cout << "\x1b[?1049h\x1b[?25l" << std::flush;
    struct sigaction action {};
    action.sa_handler = [](int) { interrupted = 1; };  // no SA_RESTART: read() returns
    for (int signal : {SIGINT, SIGTERM, SIGHUP}) sigaction(signal, &action, nullptr);
    action.sa_handler = [](int) {};
    sigaction(SIGWINCH, &action, nullptr);
  }
  ~RawTerminal() {
    std::cout << "\x1b[?25h\x1b[?1049l" << std::flush;
    tcsetattr(STDIN_FILENO, TCSAFLUSH, &before_);
  }
  RawTerminal(const RawTerminal&) = delete;
  RawTerminal& operator=(const RawTerminal&) = delete;

  /// One key: a character, or "up", "down", "left", "right", "tab", "enter", "backspace", "escape"; "" if the window
  /// size has changed; "quit" at the end of input.
  std::string key() const {
    char c = 0;
    const ssize_t got = read(STDIN_FILENO, &c, 1);
    if (interrupted || got == 0) return "quit";
    if (got < 0) return "";
    if (c == '\t') return "tab";
    if (c == '\n' || c == '\r') return "enter";
    if (c == 127 || c == 8) return "backspace";
    if (c == 4) return "quit";
    if (c != 27) return std::string(1, c);
    std::string sequence;
    pollfd more{STDIN_FILENO, POLLIN, 0};
    while (sequence.size() < 6 && poll(&more, 1, 30) > 0 && read(STDIN_FILENO, &c, 1) == 1) {
      sequence += c;
      if (sequence.size() > 1 && (std::isalpha(static_cast<unsigned char>(c)) || c == '~')) break;
    }
    if (sequence == "[A" || sequence == "OA") return "up";
    if (sequence == "[B" || sequence == "OB") return "down";
    if (sequence == "[C" || sequence == "OC") return "right";
    if (sequence == "[D" || sequence == "OD") return "left";
    return sequence.empty() ? "escape" : "";
  }

  static void size(View& view) {
    winsize window{};
    if (ioctl(STDOUT_FILENO, TIOCGWINSZ, &window) == 0 && window.ws_col > 0)
      view.width = std::max<std::size_t>(40, window.ws_col), view.height = std::max<std::size_t>(20, window.ws_row);
  }

 private:
  termios before_{};
};

void draw(const std::vector<std::string>& lines) {
  std::string out = "\x1b[H";
  for (std::size_t i = 0; i < lines.size(); ++i) out += lines[i] + "\x1b[K" + (i + 1 < lines.size() ? "\r\n" : "");
  std::cout << out << "\x1b[J" << std::flush;
}

const std::vector<std::string> help_lines{
    "n, space, Enter   the next assignment; after the last one, the next step",
    "p, Backspace      the previous one",
    "f l b u           the next forward, loss, backward, update",
    "e                 the next epoch: trains to its first step",
    "r                 run to a condition: loss < 0.1, gradient < 0.01 (the largest),",
    "                  epoch 5, or nan; where it does not come true, one stays here",
    "←↑↓→, or h j i m  another element of the result, to be put into the formula",
    "Tab               move the window of the next table with the arrows instead",
    "q                 quit",
    "",
    "In tables [ ] is the chosen element, * marks the numbers that its formula reads.",
    "",
    "any key goes back"};

/// Reads a line typed at the bottom of the screen.
std::string ask(const RawTerminal& terminal, const Stepper& stepper, View view, const std::string& question) {
  std::string answer;
  for (;;) {
    view.message = question + answer + "_";
    draw(screen(stepper, view));
    const std::string key = terminal.key();
    if (key == "enter" || key == "quit") return answer;
    if (key == "escape") return "";
    if (key == "backspace" && !answer.empty()) answer.pop_back();
    if (key.size() == 1) answer += key;
  }
}

void arrow(Stepper& stepper, View& view, int rows, int columns) {
  if (view.focus == 0) return stepper.move(rows, columns);
  const auto shift = [](std::size_t from, int by) {
    return by < 0 && from == 0 ? 0 : from + static_cast<std::size_t>(by);
  };
  view.top = shift(view.top, rows), view.left = shift(view.left, columns);
}

/// The number of tables: the result and what it reads.
std::size_t tables(const Stepper& stepper) {
  std::size_t count = 1;
  for (const auto& [symbol, value] : stepper.assignment().inputs)
    count += stepper.trace().values[value].role != trace::Value::Role::Constant;
  return count;
}

int in_terminal(Stepper& stepper) {
  View view;
  view.colour = colours();
  RawTerminal terminal;
  view.message = stepper.lesson().title + ". " + stepper.lesson().summary;
  for (;;) {
    RawTerminal::size(view);
    draw(screen(stepper, view));
    const std::string key = terminal.key();
    if (key.empty()) continue;
    view.message.clear();
    std::string command;
    if (key == "q" || key == "quit") return 0;
    if (key == "n" || key == " " || key == "enter") command = "next";
    if (key == "p" || key == "backspace") command = "back";
    if (key == "f") command = "forward";
    if (key == "l") command = "loss";
    if (key == "b") command = "backward";
    if (key == "u") command = "update";
    if (key == "e") command = "epoch";
    if (key == "r")
      if (const auto condition = ask(terminal, stepper, view, "run to (loss < x, gradient < x, epoch n, nan): ");
          !condition.empty())
        command = "run " + condition;
    if (key == "up" || key == "i") arrow(stepper, view, -1, 0);
    if (key == "down" || key == "m") arrow(stepper, view, 1, 0);
    if (key == "left" || key == "h") arrow(stepper, view, 0, -1);
    if (key == "right" || key == "j") arrow(stepper, view, 0, 1);
    if (key == "tab") view.focus = (view.focus + 1) % tables(stepper), view.top = view.left = 0;
    if (key == "?") {
      draw(help_lines);
      terminal.key();
    }
    if (command.empty()) continue;
    view.focus = 0;
    try {
      view.message = stepper.command(command);
    } catch (const Error& error) {
      view.message = error.what();
    }
  }
}

/// At the end of input: the rest of the step.
void rest_of_step(Stepper& stepper) {
  while (stepper.at() + 1 < stepper.trace().assignments.size()) {
    stepper.command("next");
    std::cout << '\n' << describe(stepper);
  }
}

int line_by_line(Stepper& stepper, bool prompt) {
  if (prompt) std::cout << "Type one of: " << Stepper::help() << "\n\n";
  std::cout << describe(stepper);
  bool asked = false;
  for (std::string line; (prompt ? std::cout << "> " << std::flush : std::cout), std::getline(std::cin, line);) {
    asked = true;
    if (line == "quit" || line == "q") return 0;
    if (line == "help") {
      std::cout << Stepper::help() << '\n';
      continue;
    }
    try {
      const std::string message = stepper.command(line);
      if (!message.empty()) std::cout << message << '\n';
      std::cout << '\n' << describe(stepper);
    } catch (const Error& error) {
      std::cout << error.what() << '\n';
    }
  }
  if (!asked) rest_of_step(stepper);
  return 0;
}

}  // namespace

int step_through(const std::string& lesson, bool plain) {
  Stepper stepper(make_lesson(lesson));
  const bool typed = isatty(STDIN_FILENO), seen = isatty(STDOUT_FILENO);
  if (typed && seen && !plain) return in_terminal(stepper);
  std::cout << stepper.lesson().title << "\n" << stepper.lesson().summary << "\n\n";
  if (typed && !seen) {
    std::cout << describe(stepper);
    rest_of_step(stepper);
    return 0;
  }
  return line_by_line(stepper, typed);
}

}  // namespace handgrad::labs
