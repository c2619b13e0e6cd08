#pragma once
#include <initializer_list>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "handgrad/base/tensor.hpp"
#include "handgrad/trace/expression.hpp"

namespace handgrad::trace {

/// One assignment of a derivation.
struct Equation {
  /// As a whole and element by element: `Equation("dW = δᵀ·x", "dW[o,i] = sum(n: δ[n,o]·x[n,i])")`.
  Equation(const std::string& whole_text, const std::string& element_text);
  /// One formula that is both, since its symbols have no indices or the target is a single number:
  /// `Equation("dz = δ·y·(1 − y)")`.
  Equation(const char* both) : Equation("", both) {}
  /// Symbols only, for what no formula of an element is known: `Equation::symbols("y = f(x)")`.
  static Equation symbols(const std::string& whole_text);

  std::string target;                // dW
  std::vector<std::string> indices;  // o, i
  std::string whole, whole_latex;    // δᵀ·x
  std::optional<Expression> element;

 private:
  Equation() = default;
};

/// A tensor that another layer made, by whose address a recording finds the assignment that it came from.
struct Link {
  const void* address = nullptr;
  Array array;
  bool single = false;
};

/// What a layer, a loss or an optimizer says of its mathematics, for whoever records it: its symbols and, for each of
/// its functions, the assignments of the derivation. A layer with nothing to say is recorded as y = f(x).
///
///     trace::Derivation derivation(const Shape&) const override {
///       return {.forward = {"y = a·x"},
///               .backward = {{"da = Σ δ∘x", "da = sum(i: δ[i]·x[i])"}, "dx = a·δ"}};
///     }
///
/// Symbols that every layer has are x, y, δ and dx; a parameter has the name under which it was registered, and its
/// gradient that name with a d in front. `rename` gives other symbols to any of them, {"weight", "W"}. A loss has p, y,
/// dp, L, and u for the gradient given to its backward; an optimizer w, g and its `known` state. An equation whose
/// target is none of these is an intermediate: its values are computed from its formula. An equation may assign to a
/// symbol that it uses: on the right stands the value before.
struct Derivation {
  std::vector<Equation> forward = {}, backward = {};
  std::map<std::string, std::string> rename = {};
  /// Numbers and tensors that are not arguments: N, η, a dropout mask.
  std::vector<std::pair<std::string, Array>> known = {};
  /// For containers: what their branches gave, y = x + f.
  std::vector<std::pair<std::string, Link>> links = {};
  /// Adds one; a tensor that is not there yet is left out.
  template <class T>
  Derivation& link(const std::string& name, const Tensor<T>& x);
};

/// A single number, and a tensor's numbers, as known values.
inline Array constant(double number) { return {Shape(), {number}}; }
template <class T>
Array array(const Tensor<T>& x) {
  const std::vector<T> numbers = x.to_vector();
  return {x.shape(), {numbers.begin(), numbers.end()}};
}

template <class T>
Derivation& Derivation::link(const std::string& name, const Tensor<T>& x) {
  if (x.defined()) links.emplace_back(name, Link{x.data(), array(x), sizeof(T) == sizeof(float)});
  return *this;
}

}  // namespace handgrad::trace
