#include "handgrad/trace/trace.hpp"

#include <algorithm>

#include "handgrad/base/errors.hpp"

namespace handgrad::trace {

const char* name(Phase phase) {
  static const char* names[] = {"forward", "loss", "backward", "update"};
  return names[static_cast<int>(phase)];
}

Symbols Trace::symbols(std::size_t assignment) const {
  Symbols symbols;
  for (const auto& [symbol, value] : assignments[assignment].inputs) symbols[symbol] = &values[value].array;
  return symbols;
}

Place Trace::place(std::size_t assignment, std::size_t flat) const {
  const Assignment& a = assignments[assignment];
  const Array& array = result(assignment);
  if (flat >= array.numbers.size())
    throw ValueError("trace: " + a.target + " of shape " + array.shape.str() + " has no element " +
                     std::to_string(flat));
  return place_in(array.shape, a.indices, flat);
}

std::vector<std::size_t> Trace::uses(std::size_t assignment) const {
  std::vector<std::size_t> used;
  for (const auto& [symbol, value] : assignments[assignment].inputs)
    if (values[value].from) used.push_back(*values[value].from);
  std::sort(used.begin(), used.end());
  used.erase(std::unique(used.begin(), used.end()), used.end());
  return used;
}

std::vector<std::size_t> Trace::used_by(std::size_t assignment) const {
  std::vector<std::size_t> users;
  for (std::size_t later = assignment + 1; later < assignments.size(); ++later)
    for (const auto& [symbol, value] : assignments[later].inputs)
      if (values[value].from == assignment && (users.empty() || users.back() != later)) users.push_back(later);
  return users;
}

bool Trace::reads_its_target(std::size_t assignment) const {
  const Assignment& a = assignments[assignment];
  return std::any_of(a.inputs.begin(), a.inputs.end(), [&](const auto& input) { return input.first == a.target; });
}

std::string Trace::formula_text(std::size_t assignment) const {
  const Assignment& a = assignments[assignment];
  return a.target + (reads_its_target(assignment) ? " ← " : " = ") + a.formula;
}

std::string Trace::formula_latex(std::size_t assignment) const {
  const Assignment& a = assignments[assignment];
  return symbol_latex(a.target, {}) + (reads_its_target(assignment) ? " \\leftarrow " : " = ") + a.formula_latex;
}

std::string Trace::element_text(std::size_t assignment) const {
  const Assignment& a = assignments[assignment];
  if (!a.element) return "";
  return symbol_text(a.target, a.indices) + (reads_its_target(assignment) ? " ← " : " = ") + text(*a.element);
}

std::string Trace::element_latex(std::size_t assignment) const {
  const Assignment& a = assignments[assignment];
  if (!a.element) return "";
  return symbol_latex(a.target, a.indices) + (reads_its_target(assignment) ? " \\leftarrow " : " = ") +
         latex(*a.element);
}

std::string Trace::numbers_text(std::size_t assignment, std::size_t flat, std::size_t terms, int digits) const {
  const Assignment& a = assignments[assignment];
  if (!a.element) return "";
  return text(substitute(*a.element, symbols(assignment), place(assignment, flat), terms), digits);
}

}  // namespace handgrad::trace
