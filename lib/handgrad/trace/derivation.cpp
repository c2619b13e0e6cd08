#include "handgrad/trace/derivation.hpp"

#include <tuple>
#include <utility>

#include "handgrad/base/errors.hpp"

namespace handgrad::trace {

namespace {

/// Splits "dW[o,i] = …" at its first equals sign.
std::pair<std::string, std::string> sides(const std::string& equation) {
  const auto sign = equation.find(" = ");
  if (sign == std::string::npos) throw ParseError("equation \"" + equation + "\": a target and ' = ' expected");
  return {equation.substr(0, sign), equation.substr(sign + 3)};
}

/// Of one element ∘ is a product of numbers.
Expression of_numbers(Expression e) {
  if (e.name == "∘") e.name = "*";
  for (Expression& argument : e.arguments) argument = of_numbers(std::move(argument));
  return e;
}

}  // namespace

Equation::Equation(const std::string& whole_text, const std::string& element_text, Why reason)
    : why(std::move(reason.text)) {
  const auto [left, right] = sides(element_text);
  const Expression parsed = Expression::parse(left);
  if (parsed.kind != Expression::Kind::Symbol)
    throw ParseError("equation \"" + element_text + "\": a symbol expected as its target");
  target = parsed.name;
  indices = parsed.indices;
  const Expression read = Expression::parse(right);
  element = of_numbers(read);
  whole = whole_text.empty() ? text(read) : sides(whole_text).second;
  whole_latex = whole_text.empty() ? latex(read) : latex_of_unicode(whole);
}

Equation Equation::symbols(const std::string& whole_text, Why reason) {
  Equation equation;
  equation.why = std::move(reason.text);
  std::tie(equation.target, equation.whole) = sides(whole_text);
  equation.whole_latex = latex_of_unicode(equation.whole);
  return equation;
}

}  // namespace handgrad::trace
