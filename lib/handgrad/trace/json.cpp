#include <charconv>
#include <cmath>
#include <nlohmann/json.hpp>

#include "handgrad/trace/trace.hpp"

namespace handgrad::trace {

namespace {

using nlohmann::ordered_json;

/// Non-finite numbers become text, since JSON has no numbers for them; a float the shortest decimal that reads back
/// exactly.
ordered_json number(double value, bool single) {
  if (std::isnan(value)) return "NaN";
  if (std::isinf(value)) return value < 0 ? "-Infinity" : "Infinity";
  if (!single) return value;
  char buffer[32];
  const auto end = std::to_chars(buffer, buffer + sizeof buffer, static_cast<float>(value)).ptr;
  double shortest = value;
  std::from_chars(buffer, end, shortest);
  return shortest;
}

ordered_json tree(const Expression& e) {
  ordered_json arguments = ordered_json::array();
  for (const Expression& argument : e.arguments) arguments.push_back(tree(argument));
  switch (e.kind) {
    case Expression::Kind::Symbol:
      return {{"symbol", e.name}, {"index", e.indices}};
    case Expression::Kind::Call:
      return {{"call", e.name}, {"of", arguments}};
    case Expression::Kind::Reduce:
      return {{"reduce", e.name}, {"over", e.indices[0]}, {"of", arguments}};
    case Expression::Kind::Number:
    case Expression::Kind::Rest:
      break;
  }
  return number(e.number, false);
}

ordered_json value_json(const Value& value) {
  static const char* roles[] = {"input", "parameter", "constant", "computed"};
  ordered_json data = ordered_json::array();
  for (double x : value.array.numbers) data.push_back(number(x, value.single));
  return {{"name", value.name},
          {"role", roles[static_cast<int>(value.role)]},
          {"dtype", value.single ? "float32" : "float64"},
          {"shape", std::vector<std::size_t>(value.array.shape.begin(), value.array.shape.end())},
          {"from", value.from ? ordered_json(*value.from) : ordered_json(nullptr)},
          {"data", data}};
}

ordered_json assignment_json(const Trace& trace, std::size_t i) {
  const Assignment& a = trace.assignments[i];
  ordered_json inputs = ordered_json::object(), element = nullptr;
  for (const auto& [symbol, value] : a.inputs) inputs[symbol] = value;
  if (a.element)
    element = {{"text", trace.element_text(i)},
               {"latex", trace.element_latex(i)},
               {"index", a.indices},
               {"expression", tree(*a.element)}};
  static const char* gradients[] = {"", "fresh", "accumulated"};
  return {
      {"phase", name(a.phase)},
      {"layer", a.layer},
      {"label", a.label},
      {"target", a.target},
      {"formula", {{"text", trace.formula_text(i)}, {"latex", trace.formula_latex(i)}}},
      {"element", element},
      {"value", a.value},
      {"inputs", inputs},
      {"uses", trace.uses(i)},
      {"gradient", a.gradient == Assignment::Gradient::None ? ordered_json(nullptr)
                                                            : ordered_json(gradients[static_cast<int>(a.gradient)])},
      {"by", a.by_library ? "library" : "formula"},
      {"why", a.why}};
}

}  // namespace

std::string to_json(const Trace& trace) {
  ordered_json values = ordered_json::array(), assignments = ordered_json::array();
  for (const Value& value : trace.values) values.push_back(value_json(value));
  for (std::size_t i = 0; i < trace.assignments.size(); ++i) assignments.push_back(assignment_json(trace, i));
  return ordered_json{{"schema", "handgrad-trace/1"}, {"values", values}, {"assignments", assignments}}.dump();
}

}  // namespace handgrad::trace
