#pragma once
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "handgrad/trace/expression.hpp"

namespace handgrad::trace {

/// The part of a training step.
enum class Phase { Forward, Loss, Backward, Update };
/// "forward", "loss", "backward", "update"
const char* name(Phase phase);

/// A tensor as it was when an assignment read or wrote it.
struct Value {
  enum class Role { Input, Parameter, Constant, Computed };
  std::string name;                 // its place and symbol: "0.W", "x", "loss.p"
  Array array;                      //
  Role role = Role::Input;          //
  bool single = false;              // its numbers are floats
  std::optional<std::size_t> from;  // the assignment that made it; none if it was there before
};

/// A recorded assignment, target = formula(inputs).
struct Assignment {
  /// For a parameter's gradient: the first since zero_grad(), or added to an earlier one.
  enum class Gradient { None, Fresh, Accumulated };
  Phase phase = Phase::Forward;
  std::string layer;  // the layer's place, "0" or "2.1"; "loss"; in an update the parameter's place
  std::string label;  // "Linear(2 → 4)", "MSELoss", "SGD"
  std::string target;
  std::size_t value = 0;                                    // the result, in Trace::values
  std::string formula, formula_latex;                       // the right-hand side as a whole: "δᵀ·x"
  std::vector<std::string> indices;                         // of the target in `element`
  std::optional<Expression> element;                        // the right-hand side of one element, if known
  std::vector<std::pair<std::string, std::size_t>> inputs;  // symbol → Trace::values
  std::string why;                                          // a sentence; empty if the layer's derivation has none
  Gradient gradient = Gradient::None;
  bool by_library =
      true;  // false: an intermediate of the derivation, computed from its formula, rounded as the inputs are
};

/// The assignments of a recording, in order.
struct Trace {
  std::vector<Value> values;
  std::vector<Assignment> assignments;

  /// What an assignment gave.
  const Array& result(std::size_t assignment) const { return values[assignments[assignment].value].array; }
  /// The values of the symbols in an assignment's formula.
  Symbols symbols(std::size_t assignment) const;
  /// The place of the result's element number `flat`. Throws ValueError if there is none.
  Place place(std::size_t assignment, std::size_t flat) const;
  /// Earlier assignments whose results this one read, and later ones that read its own.
  std::vector<std::size_t> uses(std::size_t assignment) const;
  std::vector<std::size_t> used_by(std::size_t assignment) const;

  /// "dW = δᵀ·x"; "W ← W − η·dW" if the target is also read.
  std::string formula_text(std::size_t assignment) const;
  std::string formula_latex(std::size_t assignment) const;
  bool reads_its_target(std::size_t assignment) const;
  /// "dWₒᵢ = Σₙ δₙₒ·xₙᵢ": the formula of an element; empty if unknown.
  std::string element_text(std::size_t assignment) const;
  std::string element_latex(std::size_t assignment) const;
  /// "0.5·(−1.2) + 0.1": the right-hand side with an element's numbers; empty if no formula is known.
  std::string numbers_text(std::size_t assignment, std::size_t flat, std::size_t terms = 6, int digits = 6) const;
};

/// JSON in the schema of schema.md, beside this file.
std::string to_json(const Trace& trace);

}  // namespace handgrad::trace
