#pragma once
// Inside check/: recognises by its values what a step computes, and rebuilds its gradients with and without the
// catalogue's mistakes.
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "handgrad/check/report.hpp"

namespace handgrad::detail {

/// A tensor seen as a matrix, rows × columns. A vector is one row.
struct Grid {
  std::size_t rows = 0, columns = 0;
  std::vector<double> elements;

  Grid() = default;
  Grid(std::size_t r, std::size_t c) : rows(r), columns(c), elements(r * c) {}
  explicit Grid(const Tensor<double>& tensor);
  double& operator()(std::size_t i, std::size_t j) { return elements[i * columns + j]; }
  double operator()(std::size_t i, std::size_t j) const { return elements[i * columns + j]; }
  bool empty() const { return elements.empty(); }
};
Grid product(const Grid& a, const Grid& b);
Grid transposed(const Grid& a);
Grid times(const Grid& a, const Grid& b);  // element by element
Grid column_sums(const Grid& a);

/// A function of the catalogue, y = φ(z), and its backward.
struct Function {
  std::string name;        // "tanh"
  std::string derivative;  // "1 − y²"
  std::function<Grid(const Grid& z)> value;
  std::function<Grid(const Grid& z, const Grid& y, const Grid& delta)> backward;
  bool elementwise = true;
  /// The derivative taken at the wrong tensor: which one ("1 − z²"), and the resulting φ′.
  struct Wrong {
    std::string formula;
    std::function<Grid(const Grid& z, const Grid& y)> derivative;
    std::string what = {};  // if the variable is not the mistake
    Cause cause = Cause::WrongVariable;
  };
  std::vector<Wrong> wrong = {};
};
const std::vector<Function>& functions();

/// y = φ(z) with z = x·Wᵀ + b, or z = x without a weight.
struct Stage {
  Grid x, W, b, z, y;
  const Function* function = nullptr;
  bool weight_is_transposed = false;  // z = x·W + b
  Grid delta;                         // the correct ∂S/∂y
  bool dense() const { return !W.empty(); }
};

/// The step as a chain of stages in forward order; empty if not recognised.
std::vector<Stage> recognise(const GradientStep& step);

/// What a stage's backward computes from g = ∂S/∂z.
enum class Role { Input, Weight, Bias };
Grid assemble(const Stage& stage, Role role, const Grid& g);

struct Guess {
  Cause cause = Cause::None;
  Grid g;
  std::string what, formula;
};
/// Possible mistakes in a stage's g = δ∘φ′(z).
std::vector<Guess> wrong_guesses(const Stage& stage);

/// The gradient through a normalisation or a window, right and with each mistake.
struct NormGuess {
  Cause cause = Cause::None;
  Grid right, wrong;
  std::string what, formula, derivative;
};
/// Empty unless the step is a normalisation.
std::vector<NormGuess> norm_guesses(const GradientStep& step);
/// Empty unless the step is a convolution or a pooling (windows.cpp). Of its input or of its weight.
std::vector<NormGuess> window_guesses(const GradientStep& step, bool of_input);

}  // namespace handgrad::detail
