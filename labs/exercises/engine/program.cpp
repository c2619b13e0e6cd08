// The program behind ./labs/run exercise.
#include <CLI/CLI.hpp>
#include <exception>
#include <iostream>

#include "exercises/engine/build.hpp"
#include "exercises/engine/watch.hpp"
#include "handgrad/base/errors.hpp"

namespace {

using namespace handgrad;
using namespace handgrad::exercises;

int verify(Workshop& workshop) {
  std::size_t passed = 0;
  for (const Exercise& e : exercises::exercises()) {
    const Result verdict = check_file(e, workshop.file(e), false);
    workshop.set_passed(e, verdict.passed);
    passed += verdict.passed;
    std::cout << (verdict.passed ? "passed   " : "not yet  ") << e.folder << std::endl;
  }
  std::cout << progress_line(workshop) << '\n';
  return passed == exercises::exercises().size() ? 0 : 1;
}

int next(Workshop& workshop) {
  const Exercise& here = workshop.current();
  if (!workshop.passed(here)) std::cout << here.name << " has not passed yet.\n";
  const Exercise* e = workshop.next_open();
  if (!e) {
    std::cout << (workshop.passed(here) ? "All have passed.\n" : "All others have passed.\n");
    return 0;
  }
  workshop.go_to(*e);
  std::cout << "Now: " << e->title << "\n   read  " << workshop.readme(*e) << "\n   edit  " << workshop.file(*e)
            << "\n   then  ./labs/run exercise\n";
  return 0;
}

int solution(const Workshop& workshop, const Exercise& e, bool give_up) {
  if (!workshop.passed(e) && !give_up) {
    std::cout << e.name << " has not passed yet. There are hints: ./labs/run exercise hint\n"
              << "To see the solution all the same: ./labs/run exercise solution " << e.name << " --give-up\n";
    return 1;
  }
  std::cout << (workshop.passed(e) ? solution_beside(workshop, e) : e.solved());
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  CLI::App app(
      "Write backward passes, and be told what is wrong with them. Without a command: watches an exercise,\n"
      "by default the current one, and checks it whenever you save.",
      "./labs/run exercise");
  std::string folder, name, where;
  bool give_up = false;
  app.add_option("NAME", name, "the exercise to watch");
  app.add_option("--dir", folder, "your folder (default: this one, or the one made last)");
  app.fallthrough();
  const auto command = [&](const char* text, const char* what) { return app.add_subcommand(text, what); };
  const auto with_name = [&](CLI::App* sub) {
    sub->add_option("NAME", name, "the exercise; by default the current one");
    return sub;
  };
  CLI::App* init = command("init", "make the exercises in a folder of your own");
  init->add_option("DIR", where, "the folder")->required();
  CLI::App* check = with_name(command("check", "check one, once"));
  CLI::App* hint = with_name(command("hint", "the next hint"));
  CLI::App* step = with_name(command("step", "what each line of yours reads and writes, on a small case"));
  CLI::App* list = command("list", "all exercises, and how far you are");
  CLI::App* on = command("next", "go on to the next one that has not passed");
  CLI::App* reset = with_name(command("reset", "put a file back as it was"));
  CLI::App* solve = with_name(command("solution", "the solution, once you have passed"));
  solve->add_flag("--give-up", give_up, "even if not");
  CLI::App* all = command("verify", "check all of them");
  CLI11_PARSE(app, argc, argv);

  try {
    if (init->parsed()) {
      const Workshop workshop = Workshop::init(where);
      std::cout << exercises::exercises().size() << " exercises are in " << workshop.folder()
                << ". Open two windows: your editor in one, and in the other\n  ./labs/run exercise\n"
                   "It says what to read and which file to edit, and checks it each time you save.\n";
      return 0;
    }
    Workshop workshop(folder);
    const Exercise& chosen = name.empty() ? workshop.current() : exercise(name);
    if (check->parsed()) return check_and_print(workshop, chosen) ? 0 : 1;
    if (hint->parsed()) return std::cout << workshop.next_hint(chosen), 0;
    if (step->parsed()) return std::cout << step_file(chosen, workshop.file(chosen)).text, 0;
    if (list->parsed()) return print_list(workshop), 0;
    if (on->parsed()) return next(workshop);
    if (solve->parsed()) return solution(workshop, chosen, give_up);
    if (all->parsed()) return verify(workshop);
    if (reset->parsed()) {
      workshop.reset(chosen);
      std::cout << workshop.file(chosen) << " is as it was; yours is beside it, as " << chosen.name << ".cpp.old\n";
      return 0;
    }
    workshop.go_to(chosen);
    return watch(workshop);
  } catch (const std::exception& error) {
    std::cerr << "./labs/run exercise: " << error.what() << std::endl;
    return 2;
  }
}
