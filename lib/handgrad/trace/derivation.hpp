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

/// Why an equation holds, in a sentence for somebody who sees it for the first time.
struct Why {
  std::string text = "";
};

/// One assignment of a derivation, and why: `Equation("db = Σₙ δₙ", "db[o] = sum(n: δ[n,o])", Why{"b is in …"})`.
struct Equation {
  /// As a whole and by element: `Equation("dW = δᵀ·x", "dW[o,i] = sum(n: δ[n,o]·x[n,i])")`.
  Equation(const std::string& whole_text, const std::string& element_text, Why reason = {});
  /// One formula for both, if its symbols have no indices or the target is a single number: `Equation("dz = δ∘y∘(1 −
  /// y)")`.
  Equation(const char* both, Why reason = {}) : Equation("", both, std::move(reason)) {}
  /// Symbols only, if no formula by element is known: `Equation::symbols("y = f(x)")`.
  static Equation symbols(const std::string& whole_text, Why reason = {});

  std::string target;                 // dW
  std::vector<std::string> indices;   // o, i
  std::string whole, whole_latex;     // δᵀ·x
  std::optional<Expression> element;  // the same for one element
  std::string why;                    // empty if nobody has said

 private:
  Equation() = default;
};

/// A tensor made by another layer; a recording finds its assignment by the address.
struct Link {
  const void* address = nullptr;
  Array array;
  bool single = false;
};

/// The mathematics of a layer, a loss or an optimizer, for a recording: its symbols and the assignments of its forward
/// and backward. A layer without one is recorded as y = f(x).
///
///     trace::Derivation derivation(const Shape&) const override {
///       const trace::Why why{"a is in every yᵢ, with the factor xᵢ."};
///       return {.forward = {"y = a·x"},
///               .backward = {{"da = Σ δ∘x", "da = sum(i: δ[i]·x[i])", why},
///                            "dx = a·δ"}};
///     }
///
/// Every layer has the symbols x, y, δ and dx; a parameter has its registered name, and its gradient that name with a d
/// in front. `rename` replaces any of them, {"weight", "W"}. A loss has p, t, dp, L, and u for the gradient given to
/// its backward; an optimizer w, g and its `known` state. Any other target is an intermediate, computed from its
/// formula. An equation may use its own target: on the right it stands for the value before.
struct Derivation {
  std::vector<Equation> forward = {}, backward = {};
  std::map<std::string, std::string> rename = {};
  /// Numbers and tensors that are not arguments: N, η, a dropout mask.
  std::vector<std::pair<std::string, Array>> known = {};
  /// For containers: the results of their branches, y = x + f.
  std::vector<std::pair<std::string, Link>> links = {};
  /// Adds a known tensor; an undefined one is left out.
  template <class T>
  Derivation& link(const std::string& name, const Tensor<T>& x);
};

/// A number, or a tensor's numbers, as a known value.
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
