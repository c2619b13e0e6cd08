#include "handgrad/trace/expression.hpp"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <limits>
#include <optional>

#include "handgrad/base/errors.hpp"

namespace handgrad::trace {

namespace {

using Kind = Expression::Kind;

Expression number(double value) {
  Expression e;
  e.number = value;
  return e;
}

Expression call(std::string name, std::vector<Expression> arguments) {
  Expression e;
  e.kind = Kind::Call;
  e.name = std::move(name);
  e.arguments = std::move(arguments);
  return e;
}

// ---- Parsing: one function for each level of precedence.

class Parser {
 public:
  explicit Parser(const std::string& text) : text_(text) {}

  Expression whole() {
    Expression e = sum();
    blanks();
    if (at_ < text_.size()) fail("an operator expected");
    return e;
  }

 private:
  [[noreturn]] void fail(const std::string& what) const {
    throw ParseError("formula \"" + text_ + "\", at byte " + std::to_string(at_) + ": " + what);
  }
  void blanks() {
    while (at_ < text_.size() && text_[at_] == ' ') ++at_;
  }
  /// Steps over `token` if it comes next; returns whether it did.
  bool take(const char* token) {
    blanks();
    const std::string t = token;
    if (text_.compare(at_, t.size(), t) != 0) return false;
    at_ += t.size();
    return true;
  }
  void expect(const char* token) {
    if (!take(token)) fail(std::string("'") + token + "' expected");
  }

  Expression sum() {
    Expression e = product();
    for (;;) {
      if (take("+"))
        e = call("+", {e, product()});
      else if (take("-") || take("−"))
        e = call("-", {e, product()});
      else
        return e;
    }
  }
  Expression product() {
    Expression e = signed_factor();
    for (;;) {
      if (take("*") || take("·"))
        e = call("*", {e, signed_factor()});
      else if (take("∘"))
        e = call("∘", {e, signed_factor()});
      else if (take("/"))
        e = call("/", {e, signed_factor()});
      else
        return e;
    }
  }
  Expression signed_factor() {
    if (!(take("-") || take("−"))) return power();
    Expression e = signed_factor();
    return e.kind == Kind::Number ? number(-e.number) : call("neg", {e});
  }
  Expression power() {
    Expression e = primary();
    if (take("²")) return call("^", {e, number(2)});
    if (take("³")) return call("^", {e, number(3)});
    if (take("^")) return call("^", {e, signed_factor()});
    return e;
  }
  Expression primary() {
    if (take("(")) {
      Expression e = sum();
      if (e.kind == Kind::Number && take("more:")) {
        e.kind = Kind::Rest;
        e.count = static_cast<std::size_t>(e.number);
        e.number = evaluate(sum(), {}, {});
      }
      expect(")");
      return e;
    }
    if (take("[")) {
      Expression e = comparison();
      expect("]");
      return e;
    }
    if (take("∞")) return number(std::numeric_limits<double>::infinity());
    if (at_ < text_.size() && std::isdigit(static_cast<unsigned char>(text_[at_]))) return digits();
    return named();
  }
  Expression comparison() {
    Expression left = sum();
    for (const char* relation : {"≥", "≤", ">", "<", "="})
      if (take(relation)) return call(relation, {left, sum()});
    fail("a comparison expected");
  }
  Expression digits() {
    std::string token;
    const auto run = [&] {
      while (at_ < text_.size() && std::isdigit(static_cast<unsigned char>(text_[at_]))) token += text_[at_++];
    };
    run();
    if (at_ < text_.size() && text_[at_] == '.') token += text_[at_++];
    run();
    if (at_ + 1 < text_.size() && text_[at_] == 'e') {
      token += text_[at_++];
      if (take("-") || take("−"))
        token += '-';
      else
        take("+");
      run();
    }
    double value = 0;
    std::from_chars(token.data(), token.data() + token.size(), value);
    return number(value);
  }
  static bool part_of_name(unsigned char c) { return std::isalnum(c) || c == '_'; }
  std::string name() {
    blanks();
    std::string token;
    while (at_ < text_.size()) {
      const auto c = static_cast<unsigned char>(text_[at_]);
      if (!part_of_name(c) && c < 0x80) break;
      if (c >= 0x80)  // a letter outside ASCII, unless it is one of our operators
        if (std::string rest = text_.substr(at_, 3);
            rest.starts_with("·") || rest.starts_with("∘") || rest.starts_with("²") || rest.starts_with("³") ||
            rest.starts_with("−") || rest.starts_with("≥") || rest.starts_with("≤") || rest.starts_with("∞"))
          break;
      token += text_[at_++];
    }
    if (token.empty()) fail("a number, a symbol or '(' expected");
    return token;
  }
  Expression named() {
    Expression e;
    e.name = name();
    if (e.name == "NaN") return number(std::numeric_limits<double>::quiet_NaN());
    if (take("[")) {
      e.kind = Kind::Symbol;
      do e.indices.push_back(name());
      while (take(","));
      expect("]");
    } else if (take("(")) {
      if (e.name == "if") {
        e.arguments.push_back(comparison());
        expect(",");
      } else if (e.name == "sum" || e.name == "max") {
        const std::size_t before = at_;
        if (std::isalpha(static_cast<unsigned char>(text_[at_ < text_.size() ? at_ : 0]))) {
          const std::string variable = name();
          if (take(":")) {
            e.kind = Kind::Reduce;
            e.indices = {variable};
            e.arguments = {sum()};
            expect(")");
            return e;
          }
          at_ = before;
        }
      }
      e.kind = Kind::Call;
      do e.arguments.push_back(sum());
      while (take(","));
      expect(")");
    } else {
      e.kind = Kind::Symbol;
    }
    return e;
  }

  const std::string& text_;
  std::size_t at_ = 0;
};

// ---- Values

const Array& known(const std::string& name, const Symbols& symbols) {
  const auto found = symbols.find(name);
  if (found == symbols.end()) throw ShapeError("formula: there is no value for the symbol " + name);
  return *found->second;
}

double function(const std::string& name, const std::vector<double>& v) {
  const double a = v[0], b = v.size() > 1 ? v[1] : 0;
  if (name == "+") return a + b;
  if (name == "-") return a - b;
  if (name == "*") return a * b;
  if (name == "/") return a / b;
  if (name == "^") return std::pow(a, b);
  if (name == "neg") return -a;
  if (name == ">") return a > b;
  if (name == "<") return a < b;
  if (name == "=") return a == b;
  if (name == "≥") return a >= b;
  if (name == "≤") return a <= b;
  if (name == "exp") return std::exp(a);
  if (name == "log") return std::log(a);
  if (name == "log1p") return std::log1p(a);
  if (name == "tanh") return std::tanh(a);
  if (name == "sin") return std::sin(a);
  if (name == "cos") return std::cos(a);
  if (name == "sqrt") return std::sqrt(a);
  if (name == "erf") return std::erf(a);
  if (name == "abs") return std::abs(a);
  if (name == "sign") return std::isnan(a) ? a : static_cast<double>((a > 0) - (a < 0));
  if (name == "σ") return a < 0 ? std::exp(a) / (1 + std::exp(a)) : 1 / (1 + std::exp(-a));
  if (name == "max" || name == "min") {
    double best = v[0];
    for (double x : v)
      if (std::isnan(x) || (name == "max" ? x > best : x < best)) best = x;
    return best;
  }
  throw ValueError("formula: there is no function " + name);
}

std::size_t flat_index(const Expression& symbol, const Array& array, const Place& place) {
  const auto index = [&](std::size_t i) {
    const auto found = place.indices.find(symbol.indices[i]);
    if (found == place.indices.end()) throw ShapeError("formula: the index " + symbol.indices[i] + " has no value");
    return found->second;
  };
  std::size_t flat = 0;
  if (symbol.indices.size() > 2)
    for (std::size_t i = 0; i < array.shape.rank(); ++i) flat = flat * array.shape[static_cast<int>(i)] + index(i);
  else if (symbol.indices.size() == 2)
    flat = index(0) * array.shape.columns() + index(1);
  else if (symbol.indices.size() == 1)
    flat = index(0);
  else if (array.numbers.size() > 1)
    flat = place.flat;
  if (flat >= array.numbers.size())
    throw ShapeError("formula: " + symbol.name + " of shape " + array.shape.str() + " has no element " +
                     std::to_string(flat));
  return flat;
}

double symbol_value(const Expression& symbol, const Symbols& symbols, const Place& place) {
  if (symbol.indices.empty())
    if (const auto index = place.indices.find(symbol.name); index != place.indices.end())
      return static_cast<double>(index->second);
  const Array& array = known(symbol.name, symbols);
  return array.numbers[flat_index(symbol, array, place)];
}

void find_ranges(const Expression& e, const Symbols& symbols, std::map<std::string, std::size_t>& found) {
  if (e.kind == Kind::Symbol && !e.indices.empty()) {
    const Array& array = known(e.name, symbols);
    std::vector<std::size_t> sizes{e.indices.size() == 1 ? array.numbers.size() : array.shape.rows(),
                                   array.shape.columns()};
    if (e.indices.size() > 2) {  // one per dimension
      if (e.indices.size() != array.shape.rank())
        throw ShapeError("formula: " + e.name + " of shape " + array.shape.str() + " with " +
                         std::to_string(e.indices.size()) + " indices");
      sizes.assign(array.shape.begin(), array.shape.end());
    }
    for (std::size_t i = 0; i < e.indices.size(); ++i)
      if (const auto [entry, added] = found.emplace(e.indices[i], sizes[i]); !added && entry->second != sizes[i])
        throw ShapeError("formula: the index " + e.indices[i] + " runs to " + std::to_string(entry->second) +
                         " elsewhere and to " + std::to_string(sizes[i]) + " in " + e.name);
  }
  for (const Expression& argument : e.arguments) find_ranges(argument, symbols, found);
}

double value(const Expression& e, const Symbols& symbols, Place& place,
             const std::map<std::string, std::size_t>& range);

/// Does a term of a sum begin with a bracket [a = b] that is 0? Then it is left out.
bool is_off(const Expression& e, const Symbols& symbols, Place& place,
            const std::map<std::string, std::size_t>& range) {
  if (e.kind != Kind::Call) return false;
  if (e.name == "*" || e.name == "/") return is_off(e.arguments[0], symbols, place, range);
  return (e.name == "=" || e.name == ">" || e.name == "<" || e.name == "≥" || e.name == "≤") &&
         value(e, symbols, place, range) == 0;
}

/// Evaluates with the ranges known.
double value(const Expression& e, const Symbols& symbols, Place& place,
             const std::map<std::string, std::size_t>& range) {
  switch (e.kind) {
    case Kind::Number:
    case Kind::Rest:
      return e.number;
    case Kind::Symbol:
      return symbol_value(e, symbols, place);
    case Kind::Reduce: {
      const std::size_t size = range.at(e.indices[0]);
      double total = e.name == "sum" ? 0 : -std::numeric_limits<double>::infinity();
      for (std::size_t i = 0; i < size; ++i) {
        place.indices[e.indices[0]] = i;
        if (e.name == "sum" && is_off(e.arguments[0], symbols, place, range)) continue;
        const double term = value(e.arguments[0], symbols, place, range);
        if (e.name == "sum")
          total += term;
        else if (term > total || std::isnan(term))
          total = term;
      }
      place.indices.erase(e.indices[0]);
      return total;
    }
    case Kind::Call:
      break;
  }
  if (e.name == "if")  // evaluates only the branch taken
    return value(e.arguments[value(e.arguments[0], symbols, place, range) != 0 ? 1 : 2], symbols, place, range);
  std::vector<double> arguments;
  for (const Expression& argument : e.arguments) arguments.push_back(value(argument, symbols, place, range));
  return function(e.name, arguments);
}

Expression with_numbers(const Expression& e, const Symbols& symbols, Place& place, std::size_t terms,
                        const std::map<std::string, std::size_t>& range);

/// A reduction written out; nothing where all terms of a sum are left out.
std::optional<Expression> written_out(const Expression& e, const Symbols& symbols, Place& place, std::size_t terms,
                                      const std::map<std::string, std::size_t>& range) {
  const Expression& body = e.arguments[0];
  const bool is_sum = e.name == "sum", nested = body.kind == Kind::Reduce && body.name == "sum";
  std::vector<Expression> parts;
  for (std::size_t i = 0; i < range.at(e.indices[0]); ++i) {
    place.indices[e.indices[0]] = i;
    if (is_sum && is_off(body, symbols, place, range)) continue;
    if (is_sum && nested) {
      if (auto part = written_out(body, symbols, place, terms, range)) parts.push_back(std::move(*part));
    } else {
      parts.push_back(parts.size() <= terms ? with_numbers(body, symbols, place, terms, range)
                                            : number(value(body, symbols, place, range)));
    }
  }
  place.indices.erase(e.indices[0]);
  if (parts.empty() && is_sum) return {};
  if (parts.size() > terms + 1) {
    Expression rest;
    rest.kind = Kind::Rest;
    rest.count = parts.size() - terms;
    rest.number = is_sum ? 0 : -std::numeric_limits<double>::infinity();
    for (std::size_t i = terms; i < parts.size(); ++i) {
      Place nowhere;
      const double term = value(parts[i], {}, nowhere, {});
      rest.number = is_sum ? rest.number + term : function("max", {rest.number, term});
    }
    parts.resize(terms);
    parts.push_back(rest);
  }
  if (parts.size() == 1) return parts[0];
  if (!is_sum) return call("max", parts);
  Expression total = parts[0];
  for (std::size_t i = 1; i < parts.size(); ++i) total = call("+", {total, parts[i]});
  return total;
}

Expression with_numbers(const Expression& e, const Symbols& symbols, Place& place, std::size_t terms,
                        const std::map<std::string, std::size_t>& range) {
  if (e.kind == Kind::Symbol) return number(symbol_value(e, symbols, place));
  if (e.kind == Kind::Reduce) return written_out(e, symbols, place, terms, range).value_or(number(0));
  Expression copy = e;
  for (Expression& argument : copy.arguments) argument = with_numbers(argument, symbols, place, terms, range);
  return copy;
}

}  // namespace

Expression Expression::parse(const std::string& text) { return Parser(text).whole(); }

Place place_in(const Shape& shape, const std::vector<std::string>& indices, std::size_t flat) {
  Place place{flat, {}};
  std::size_t left = flat;
  for (std::size_t i = indices.size(); i-- > 0;) {
    const std::size_t size = i == 0 ? left + 1 : indices.size() == 2 ? shape.columns() : shape[static_cast<int>(i)];
    place.indices[indices[i]] = left % size;
    left /= size;
  }
  return place;
}

std::map<std::string, std::size_t> ranges(const Expression& expression, const Symbols& symbols) {
  std::map<std::string, std::size_t> found;
  find_ranges(expression, symbols, found);
  return found;
}

double evaluate(const Expression& expression, const Symbols& symbols, const Place& place) {
  Place scratch = place;
  return value(expression, symbols, scratch, ranges(expression, symbols));
}

Expression substitute(const Expression& expression, const Symbols& symbols, const Place& place, std::size_t terms) {
  Place scratch = place;
  return with_numbers(expression, symbols, scratch, terms, ranges(expression, symbols));
}

namespace {

void find_reads(const Expression& e, const Symbols& symbols, Place& place,
                const std::map<std::string, std::size_t>& range, std::map<std::string, std::set<std::size_t>>& found) {
  if (e.kind == Kind::Symbol && symbols.contains(e.name))
    found[e.name].insert(flat_index(e, *symbols.at(e.name), place));
  const std::size_t times = e.kind == Kind::Reduce ? range.at(e.indices[0]) : 1;
  for (std::size_t i = 0; i < times; ++i) {
    if (e.kind == Kind::Reduce) {
      place.indices[e.indices[0]] = i;
      if (e.name == "sum" && is_off(e.arguments[0], symbols, place, range)) continue;
    }
    for (const Expression& argument : e.arguments) find_reads(argument, symbols, place, range, found);
  }
  if (e.kind == Kind::Reduce) place.indices.erase(e.indices[0]);
}

}  // namespace

std::map<std::string, std::set<std::size_t>> reads(const Expression& expression, const Symbols& symbols,
                                                   const Place& place) {
  std::map<std::string, std::set<std::size_t>> found;
  Place scratch = place;
  find_reads(expression, symbols, scratch, ranges(expression, symbols), found);
  return found;
}

std::vector<std::string> symbols_of(const Expression& e) {
  std::vector<std::string> names;
  if (e.kind == Kind::Symbol) names.push_back(e.name);
  for (const Expression& argument : e.arguments)
    for (std::string& name : symbols_of(argument))
      if (std::find(names.begin(), names.end(), name) == names.end()) names.push_back(std::move(name));
  return names;
}

}  // namespace handgrad::trace
