#pragma once
#include <functional>

#include "exercises/engine/workshop.hpp"

namespace handgrad::exercises {

/// [######--------------] 6/20
std::string progress_line(const Workshop& workshop);
/// Checks an exercise, prints the verdict, and records whether it passed; does none of this once `stop` returns true.
bool check_and_print(Workshop& workshop, const Exercise& exercise, const std::function<bool()>& stop = {});
/// What the learner wrote beside the model solution.
std::string solution_beside(const Workshop& workshop, const Exercise& exercise);
void print_list(const Workshop& workshop);

/// Checks the current exercise each time its file is saved, and waits for keys. Never moves on by itself. If standard
/// input is not a terminal, checks once. Returns the exit status.
int watch(Workshop& workshop);

}  // namespace handgrad::exercises
