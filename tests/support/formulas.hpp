#pragma once
// Checks what a trace shows: each formula with numbers put in must evaluate to the number beside it.
#include <boost/test/unit_test.hpp>
#include <cmath>
#include <string>
#include <vector>

#include "handgrad/trace/trace.hpp"

namespace handgrad::test {

inline void leaves(trace::Expression& e, std::vector<double*>& found) {
  using Kind = trace::Expression::Kind;
  if (e.kind == Kind::Number || e.kind == Kind::Rest) found.push_back(&e.number);
  for (auto& argument : e.arguments) leaves(argument, found);
}

/// The value of an expression without symbols, and its change when each number in it moves by `relative`.
struct Bounded {
  double value, error;
};
inline Bounded bounded(trace::Expression e, double relative) {
  std::vector<double*> numbers;
  leaves(e, numbers);
  Bounded result{trace::evaluate(e, {}, {}), 0};
  for (double* number : numbers) {
    const double kept = *number;
    *number += relative * std::abs(kept);
    const double moved = std::abs(trace::evaluate(e, {}, {}) - result.value);
    if (!std::isnan(moved)) result.error += moved;
    *number = kept;
  }
  result.error += relative * std::abs(result.value);
  return result;
}

/// `slack`: the rounding of numbers around 1, for differences of such: p − y.
inline bool agrees(const Bounded& formula, double shown, double slack) {
  if (std::isnan(shown) || std::isnan(formula.value)) return std::isnan(shown) && std::isnan(formula.value);
  return formula.value == shown || std::abs(formula.value - shown) <= 2 * formula.error + slack;
}

/// The elements of all assignments whose formula does not evaluate to the number in the trace: from the full numbers,
/// and from the text with 6 digits and shortened sums that a learner sees. `checked` counts the elements.
inline std::vector<std::string> formulas_that_lie(const trace::Trace& trace, std::size_t& checked) {
  std::vector<std::string> lies;
  for (std::size_t i = 0; i < trace.assignments.size(); ++i) {
    const trace::Assignment& a = trace.assignments[i];
    if (!a.element) continue;
    const auto& numbers = trace.result(i).numbers;
    const double rounding = trace.values[a.value].single ? 1e-6 : 1e-14;
    for (std::size_t k = 0; k < numbers.size(); ++k) {
      ++checked;
      const auto full = substitute(*a.element, trace.symbols(i), trace.place(i, k), 1000);
      const std::string shown = trace.numbers_text(i, k);
      if (!agrees(bounded(full, rounding), numbers[k], rounding) ||
          !agrees(bounded(trace::Expression::parse(shown), 5e-6), numbers[k], rounding))
        lies.push_back(a.label + ": " + trace.element_text(i) + ", element " + std::to_string(k) + ": " + shown +
                       " is not " + std::to_string(numbers[k]));
    }
  }
  return lies;
}

inline std::size_t check_formulas(const trace::Trace& trace) {
  std::size_t checked = 0;
  for (const std::string& lie : formulas_that_lie(trace, checked)) BOOST_ERROR(lie);
  return checked;
}

}  // namespace handgrad::test
