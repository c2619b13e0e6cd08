#pragma once
// The language in which a derivation's assignments are written down once, element by element:
//
//     y[n,o] = sum(i: x[n,i]·W[o,i]) + b[o]
//
// This one line gives the formula in symbols (Unicode and LaTeX), the formula with the numbers of one element, and its
// value, so that what is shown can be checked against what was computed.
#include <cstddef>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "handgrad/base/shape.hpp"

namespace handgrad::trace {

/// A copy of a tensor's numbers in row-major order, and its shape.
struct Array {
  Shape shape;
  std::vector<double> numbers;
};

/// A formula's tree.
///
///     numbers        0.5, 1e−5 (minus as − or -), NaN, ∞
///    symbols        W, δ, ŷ; W[o,i]: row and column of a matrix (all dimensions but the last make the rows); w[i]: the
///                    i-th element, whatever the shape; without indices: the element at the target's place, or
///                    the only one
///     operators      + − · / ^ (also - * ² ³), and [a > b] with > < = ≥ ≤, which is 1 or 0
///     functions      exp log log1p tanh sin cos sqrt abs sign erf σ max(a, b) min(a, b) if(condition, a, b)
///     reductions     sum(i: …), max(i: …), over the whole range of index i
///     (7 more: 0.1)  the omitted part of a long sum; its value is 0.1
struct Expression {
  enum class Kind { Number, Symbol, Call, Reduce, Rest };
  Kind kind = Kind::Number;
  double number = 0;                  // Number, Rest
  std::size_t count = 0;              // Rest: how many terms
  std::string name;                   // of the symbol, operator or function
  std::vector<std::string> indices;   // of the symbol; the variable of a reduction
  std::vector<Expression> arguments;  // of the call, the body of a reduction

  /// Throws ParseError naming the text and the place.
  static Expression parse(const std::string& text);
};

/// What the names of an expression stand for.
using Symbols = std::map<std::string, const Array*>;

/// An element: its row-major number, and its indices in the target's shape.
struct Place {
  std::size_t flat = 0;
  std::map<std::string, std::size_t> indices;
};

/// The place of element number `flat`: one index counts all elements, two are row (over all dimensions but the last)
/// and column, more are the dimensions.
Place place_in(const Shape& shape, const std::vector<std::string>& indices, std::size_t flat);

/// The range of each index in an expression, from the shapes of the symbols it indexes. Throws ShapeError if two
/// symbols disagree or a symbol is unknown.
std::map<std::string, std::size_t> ranges(const Expression& expression, const Symbols& symbols);

/// The expression's value for one element. Throws ShapeError as `ranges` does.
double evaluate(const Expression& expression, const Symbols& symbols, const Place& place);

/// The expression with numbers for symbols and reductions written out; a reduction of more than `terms` terms keeps the
/// first ones and sums up the rest as `(7 more: 0.1)`. The result evaluates to the same number without any symbol.
Expression substitute(const Expression& expression, const Symbols& symbols, const Place& place, std::size_t terms = 6);

/// The elements read to compute one element: their row-major numbers, in order, by symbol.
std::map<std::string, std::set<std::size_t>> reads(const Expression& expression, const Symbols& symbols,
                                                   const Place& place);

/// The symbols in the expression, each once.
std::vector<std::string> symbols_of(const Expression& expression);

/// In Unicode: `Σᵢ xₙᵢ·Wₒᵢ + bₒ`, `0.5·(−1.2) + 0.1`, with `digits` significant digits.
std::string text(const Expression& expression, int digits = 6);
std::string latex(const Expression& expression, int digits = 6);
/// A symbol with its indices.
std::string symbol_text(const std::string& name, const std::vector<std::string>& indices);
std::string symbol_latex(const std::string& name, const std::vector<std::string>& indices);
/// A number as formulas show it: −1.5, 1.2e−5, NaN, ∞.
std::string number_text(double number, int digits = 6);

/// A Unicode formula without a tree, as LaTeX: `dW = δᵀ·x` gives `\mathrm{d}W = \delta^{\top} \cdot x`.
std::string latex_of_unicode(const std::string& formula);

}  // namespace handgrad::trace
