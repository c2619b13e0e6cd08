// Formulas as text: Unicode for the terminal, LaTeX for the page.
#include <cmath>
#include <cstdlib>
#include <utility>

#include "handgrad/base/format.hpp"
#include "handgrad/trace/expression.hpp"

namespace handgrad::trace {

namespace {

using Kind = Expression::Kind;
using Pairs = std::vector<std::pair<const char*, const char*>>;

const char* find(const Pairs& pairs, const std::string& key) {
  for (const auto& [from, to] : pairs)
    if (key == from) return to;
  return nullptr;
}

const Pairs subscripts{{"i", "ᵢ"}, {"j", "ⱼ"}, {"k", "ₖ"}, {"n", "ₙ"}, {"o", "ₒ"}, {"m", "ₘ"}};

const Pairs small_digits{{"₀", "_{0}"}, {"₁", "_{1}"}, {"₂", "_{2}"}, {"₃", "_{3}"}};

const Pairs greek{{"α", "\\alpha"},      {"β", "\\beta"}, {"γ", "\\gamma"}, {"δ", "\\delta"},
                  {"ε", "\\varepsilon"}, {"η", "\\eta"},  {"θ", "\\theta"}, {"λ", "\\lambda"},
                  {"µ", "\\mu"},         {"μ", "\\mu"},   {"σ", "\\sigma"}, {"φ", "\\varphi"},
                  {"Φ", "\\Phi"},        {"ℓ", "\\ell"},  {"π", "\\pi"},    {"∂", "\\partial"}};

/// The UTF-8 character that begins at `at`.
std::string character(const std::string& text, std::size_t at) {
  const auto lead = static_cast<unsigned char>(text[at]);
  return text.substr(at, lead < 0x80 ? 1 : lead < 0xE0 ? 2 : lead < 0xF0 ? 3 : 4);
}

std::vector<std::string> characters(const std::string& text) {
  std::vector<std::string> all;
  for (std::size_t at = 0; at < text.size(); at += all.back().size()) all.push_back(character(text, at));
  return all;
}

/// A name without indices: dW, ŷ, dW_old, weight.
std::string name_latex(const std::string& name) {
  if (const auto suffix = name.find('_'); suffix != std::string::npos)
    return name_latex(name.substr(0, suffix)) + "^{\\mathrm{" + name.substr(suffix + 1) + "}}";
  const auto parts = characters(name);
  if (parts.size() > 1 && parts[0] == "∂") return "\\partial " + name_latex(name.substr(parts[0].size()));
  if (parts.size() > 1 && parts[0] == "d") return "\\mathrm{d}" + name_latex(name.substr(1));
  if (parts.size() == 2 && parts[1] == "\xCC\x82") return "\\hat{" + name_latex(parts[0]) + "}";  // combining hat
  if (parts.size() == 2 && find(small_digits, parts[1])) return name_latex(parts[0]) + find(small_digits, parts[1]);
  if (parts.size() == 1) {
    if (const char* letter = find(greek, name)) return letter;
    if (name == "ŷ") return "\\hat{y}";
    return name;
  }
  bool digits = parts.size() > 1;
  for (std::size_t i = 1; i < parts.size(); ++i) digits &= std::isdigit(static_cast<unsigned char>(parts[i][0])) != 0;
  if (digits) return name_latex(parts[0]) + "_{" + name.substr(parts[0].size()) + "}";  // w1
  std::string word;
  for (const std::string& part : parts) {
    const char* letter = find(greek, part);
    word += letter ? std::string(letter) + " " : part;
  }
  return "\\mathrm{" + word + "}";
}

/// How tightly an expression binds, loosest first.
enum Level { Sum = 1, Reduction, Product, Power, Primary };

struct Writer {
  bool latex;
  int digits;

  static Level level(const Expression& e) {
    if (e.kind == Kind::Reduce) return Reduction;
    if (e.kind != Kind::Call) return Primary;
    if (e.name == "+" || e.name == "-") return Sum;
    if (e.name == "*" || e.name == "∘" || e.name == "/" || e.name == "neg") return Product;
    return e.name == "^" ? Power : Primary;
  }

  std::string number(double value) const {
    std::string text = number_text(value, digits);
    if (!latex) return text;
    if (std::isnan(value)) return "\\mathrm{NaN}";
    std::string out;
    for (const std::string& c : characters(text)) {
      if (c == "−")
        out += '-';
      else if (c == "∞")
        out += "\\infty";
      else if (c == "e")
        out += "{\\cdot}10^{";
      else
        out += c;
    }
    return text.find('e') == std::string::npos ? out : out + "}";
  }

  std::string bracketed(const std::string& inside) const {
    return latex ? "\\left(" + inside + "\\right)" : "(" + inside + ")";
  }

  /// `leading`: nothing precedes it within its brackets, so a sign needs no brackets of its own.
  std::string write(const Expression& e, Level least, bool leading) const {
    if (e.kind == Kind::Number)
      return std::signbit(e.number) && !std::isnan(e.number) && (!leading || least > Product)
                 ? bracketed(number(e.number))
                 : number(e.number);
    const bool brackets = level(e) < least || (e.name == "neg" && e.kind == Kind::Call && !leading);
    const std::string inside = unbracketed(e, leading || brackets);
    return brackets ? bracketed(inside) : inside;
  }

  std::string list(const std::vector<Expression>& arguments, std::size_t from = 0) const {
    std::string out;
    for (std::size_t i = from; i < arguments.size(); ++i)
      out += (i > from ? ", " : "") + write(arguments[i], Sum, true);
    return out;
  }

  std::string unbracketed(const Expression& e, bool leading) const {
    if (e.kind == Kind::Symbol) return latex ? symbol_latex(e.name, e.indices) : symbol_text(e.name, e.indices);
    if (e.kind == Kind::Rest)
      return latex ? "\\underbrace{" + number(e.number) + "}_{\\text{" + std::to_string(e.count) + " more}}"
                   : "(" + std::to_string(e.count) + " more: " + number(e.number) + ")";
    if (e.kind == Kind::Reduce) return reduction(e);
    const auto& a = e.arguments;
    if (e.name == "+" || e.name == "-")
      return write(a[0], Sum, leading) +
             (e.name == "+" ? " + "
              : latex       ? " - "
                            : " − ") +
             write(a[1], e.name == "+" ? Reduction : Product, false);
    if (e.name == "*" || e.name == "∘") {
      const bool dot = e.name == "*";
      return write(a[0], Product, leading) + (latex ? (dot ? " \\cdot " : " \\circ ") : (dot ? "·" : "∘")) +
             write(a[1], Power, false);
    }
    if (e.name == "/")
      return latex ? "\\frac{" + write(a[0], Sum, true) + "}{" + write(a[1], Sum, true) + "}"
                   : write(a[0], Product, leading) + "/" + write(a[1], Power, false);
    if (e.name == "neg") return (latex ? "-" : "−") + write(a[0], Product, false);
    if (e.name == "^") return power(a[0], a[1]);
    return function(e);
  }

  std::string reduction(const Expression& e) const {
    const std::string& variable = e.indices[0];
    const std::string body = write(e.arguments[0], Reduction, false);
    if (latex) return (e.name == "sum" ? "\\sum_{" : "\\max_{") + variable + "} " + body;
    const char* small = find(subscripts, variable);
    return (e.name == "sum" ? "Σ" : "max") + (small ? small : "_" + variable) + " " + body;
  }

  std::string power(const Expression& base, const Expression& exponent) const {
    const std::string under = write(base, Primary, false);
    if (latex) return "{" + under + "}^{" + write(exponent, Sum, true) + "}";
    if (exponent.kind == Kind::Number && exponent.number == 2) return under + "²";
    if (exponent.kind == Kind::Number && exponent.number == 3) return under + "³";
    return under + "^" + write(exponent, Primary, false);
  }

  std::string comparison(const Expression& e) const {
    std::string relation = e.name;
    if (latex && relation == "≥") relation = "\\ge";
    if (latex && relation == "≤") relation = "\\le";
    return write(e.arguments[0], Sum, true) + " " + relation + " " + write(e.arguments[1], Sum, true);
  }

  std::string function(const Expression& e) const {
    const auto& a = e.arguments;
    for (const char* relation : {">", "<", "=", "≥", "≤"})
      if (e.name == relation) return (latex ? "\\left[" : "[") + comparison(e) + (latex ? "\\right]" : "]");
    if (e.name == "if") {
      if (!latex) return "if(" + comparison(a[0]) + ", " + list(a, 1) + ")";
      return "\\begin{cases}" + write(a[1], Sum, true) + " & " + comparison(a[0]) + "\\\\" + write(a[2], Sum, true) +
             " & \\text{else}\\end{cases}";
    }
    if (!latex) return e.name + "(" + list(a) + ")";
    if (e.name == "exp") return "e^{" + list(a) + "}";
    if (e.name == "sqrt") return "\\sqrt{" + list(a) + "}";
    if (e.name == "abs") return "\\left|" + list(a) + "\\right|";
    const Pairs names{{"log", "\\log"}, {"tanh", "\\tanh"}, {"sin", "\\sin"}, {"cos", "\\cos"},
                      {"max", "\\max"}, {"min", "\\min"},   {"σ", "\\sigma"}};
    const char* known = find(names, e.name);
    return (known ? known : "\\operatorname{" + e.name + "}") + ("\\left(" + list(a) + "\\right)");
  }
};

}  // namespace

std::string number_text(double number, int digits) {
  if (std::isnan(number)) return "NaN";
  if (std::isinf(number)) return number < 0 ? "−∞" : "∞";
  std::string text = formatted("%.*g", digits, number), out;
  if (text == "-0") text = "0";
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] == 'e') {  // e-05 → e−5
      const int exponent = std::atoi(text.c_str() + i + 1);
      return out + "e" + (exponent < 0 ? "−" : "") + std::to_string(std::abs(exponent));
    }
    out += text[i] == '-' ? "−" : std::string(1, text[i]);
  }
  return out;
}

std::string symbol_text(const std::string& name, const std::vector<std::string>& indices) {
  if (indices.empty()) return name;
  std::string small, plain;
  for (const std::string& index : indices) {
    const char* letter = find(subscripts, index);
    small += letter ? letter : "";
    plain += (plain.empty() ? "" : ",") + index;
    if (!letter) small += "?";
  }
  return small.find('?') == std::string::npos ? name + small : name + "[" + plain + "]";
}

std::string symbol_latex(const std::string& name, const std::vector<std::string>& indices) {
  std::string below;
  for (const std::string& index : indices) below += (below.empty() ? "" : ",") + index;
  std::string base = name_latex(name);
  if (below.empty()) return base;
  return (base.find('_') == std::string::npos ? base : "{" + base + "}") + "_{" + below + "}";
}

std::string text(const Expression& expression, int digits) {
  return Writer{false, digits}.write(expression, Sum, true);
}

std::string latex(const Expression& expression, int digits) {
  return Writer{true, digits}.write(expression, Sum, true);
}

std::string latex_of_unicode(const std::string& formula) {
  static const Pairs symbols{
      {"·", " \\cdot "}, {"∘", " \\circ "}, {"−", "-"},      {"ᵀ", "^{\\top}"},     {"²", "^{2}"},       {"³", "^{3}"},
      {"∞", "\\infty "}, {"′", "'"},        {"Σ", "\\sum "}, {"←", "\\leftarrow "}, {"√", "\\surd "},    {"≥", "\\ge "},
      {"≤", "\\le "},    {"⁻", "^{-}"},     {"ᶻ", "^{z}"},   {"∈", "\\in "},        {"½", "\\tfrac12 "}, {"→", "\\to "},
      {"ₖ", "_{k}"},     {"ₙ", "_{n}"},     {"ᵢ", "_{i}"},   {"ⱼ", "_{j}"},         {"ₒ", "_{o}"}};
  static const Pairs functions{{"log", "\\log "}, {"exp", "\\exp "}, {"tanh", "\\tanh "}, {"sin", "\\sin "},
                               {"cos", "\\cos "}, {"max", "\\max "}, {"min", "\\min "}};
  std::string out, word;
  bool subscript = false;
  const auto flush = [&] {
    if (word.empty()) return;
    const char* known = find(functions, word);
    out += known ? known : name_latex(word);
    word.clear();
  };
  for (const std::string& c : characters(formula)) {
    const bool letter = std::isalnum(static_cast<unsigned char>(c[0])) != 0 || c == "_" || find(greek, c) || c == "ŷ" ||
                        c == "\xCC\x82";
    if (letter) {
      subscript = false;
      word += c;
      continue;
    }
    flush();
    std::string known = find(symbols, c) ? find(symbols, c) : c;
    const bool below = known.starts_with("_{");
    if (below && subscript) {  // one subscript for both: zₙₖ is z_{nk}
      out.pop_back();
      known.erase(0, 2);
    }
    subscript = below;
    out += known;
  }
  flush();
  return out;
}

}  // namespace handgrad::trace
