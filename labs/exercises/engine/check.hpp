#pragma once
// For writing an exercise's check.cpp.
#include <functional>
#include <iosfwd>
#include <string>
#include <typeinfo>
#include <utility>
#include <vector>

#include "exercises/exercise.hpp"
#include "handgrad/check/gradcheck.hpp"

namespace handgrad::exercises {

/// A learner's function, as found in the compiled file.
struct Entry {
  const char* name;
  const char* type;  // its pointer type, as named by typeid
  void (*function)();
};

/// "dW" of `dW(o, i) += …`, a line of the learner's: the word in front of the bracket that a place in it means.
std::string name_at(const std::string& line, unsigned column);
/// Called before a result of the learner's is taken over and its memory freed; for stepping.
inline void (*taking_over)() = nullptr;
Tensor<double> tensor(const Matrix& m);
Tensor<double> tensor(const Vector& v);
Tensor<double> tensor(double number);
Matrix matrix(const Tensor<double>& t);
Vector vector(const Tensor<double>& t);
/// From N(0, 1), always the same for the same seed.
Matrix random_matrix(int rows, int cols, std::uint64_t seed);
Vector random_vector(int size, std::uint64_t seed);

// Correct forward passes.
/// y = x·Wᵀ + b
Matrix linear(const Matrix& x, const Matrix& W, const Vector& b);
Matrix each(Matrix z, const std::function<double(double)>& f);
double sigmoid(double z);
/// Σ y∘δ as terms: the scalar for checking a layer's gradients with any δ from above.
Tensor<double> projected(const Matrix& y, const Matrix& delta);

/// Of a sum over a loop's index, for `share(k)`, the k-th of its `count` terms: what comes out if the loop leaves out
/// the first, or the last. `what`: "example".
std::vector<KnownMistake> left_out(int count, const std::string& what,
                                   const std::function<Tensor<double>(int k)>& share);

/// A case that is small enough to be redone on paper: what goes in, what came out, and what is right.
struct Paper {
  std::vector<std::pair<std::string, Tensor<double>>> inputs;
  std::string name;
  Tensor<double> got, expected;
};
/// Of several results the first that is wrong, or the last.
struct Compared {
  std::string name;
  Tensor<double> got, expected;
};
Paper first_wrong(std::vector<std::pair<std::string, Tensor<double>>> inputs, const std::vector<Compared>& results);
/// Small numbers, all different, others for another `kind`.
Matrix paper_matrix(int rows, int cols, int kind);
Vector paper_vector(int size, int kind);
/// Sizes for such cases, the smallest first: examples, inputs, outputs.
constexpr int paper_sizes[][3] = {{1, 1, 1}, {1, 2, 1}, {1, 1, 2}, {2, 1, 1}, {2, 2, 2}, {2, 3, 2}};
/// ∂S/∂value by differences; S adds up the terms that `forward` gives.
Tensor<double> slope(const Tensor<double>& value, const std::function<Tensor<double>(const Tensor<double>&)>& forward);

/// One run of an exercise's check: comparisons are reported in the order of the calls, and the first failure decides.
class Check {
 public:
  Check(const std::string& exercise, const Entry* entries);

  /// The learner's function of that type. Throws ValueError naming the expected signature.
  template <class F>
  F* function(const std::string& name) const {
    return reinterpret_cast<F*>(find(name, typeid(F*).name()));
  }
  /// Compares a value (not a gradient): `got` must equal `expected`.
  void value(const std::string& name, const Tensor<double>& got, const Tensor<double>& expected,
             const std::vector<KnownMistake>& mistakes = {}, const GradientStep& step = {}, double tolerance = 1e-7);
  /// Compares a gradient with differences.
  void gradient(const FunctionGradient& gradient);
  /// A condition that must hold; `mistake` says what is wrong otherwise.
  void holds(const std::string& name, bool condition, const KnownMistake& mistake);

  /// Cases for paper, from 0 to `count` − 1, the smallest first. They run after the check, so `make` keeps what it
  /// needs by value; what a case's function throws is told with its inputs.
  void on_paper(int count, std::function<Paper(int)> make) { papers_ = {count, std::move(make)}; }
  /// One for each of `paper_sizes`.
  void on_paper(std::function<Paper(int N, int D, int C)> make);
  /// What is to be seen when all has passed.
  void picture(const std::string& text) { picture_ = text; }

  const GradientReport& report() const { return report_; }
  const std::string& picture() const { return picture_; }
  /// The first case for paper that goes wrong, in words; empty if there is none.
  std::string smallest_wrong() const;
  /// Calls the learner's function for that case, or for the last if none goes wrong, and says what comes out; `listen`
  /// hears when it begins, with its inputs in words, and when it ends.
  std::string step_through(const std::function<void(bool on, const std::string& inputs)>& listen) const;

 private:
  void (*find(const std::string& name, const char* type) const)();
  GradientReport report_;
  const Entry* entries_;
  std::pair<int, std::function<Paper(int)>> papers_;
  std::string picture_;
};

/// An exercise's check and the names of the functions that it calls.
struct Registered {
  std::string exercise;
  std::vector<std::string> functions;
  void (*run)(Check&);
};
/// Throws ValueError for an exercise without a check.
const Registered& check_of(const std::string& exercise);

/// Runs it; what the learner's functions throw becomes the report's last entry.
Check run_check(const std::string& exercise, const Entry* entries);

/// Per tensor, in backward order: verdict, error against what is expected, the worst entries; behind an empty line the
/// diagnosis, and behind another the smallest case that goes wrong.
void print_verdict(std::ostream& out, const Check& check, bool colour);

/// The exit status of a child stopped because a learner's function computed too long.
constexpr int too_long = 3;

struct Registration {
  Registration(const char* exercise, std::vector<std::string> functions, void (*run)(Check&));
};

}  // namespace handgrad::exercises

/// EXERCISE(linear_dW, {"linear_dW"}) { auto* linear_dW = check.function<…>("linear_dW"); … }
#define EXERCISE(NAME, ...)                                                                                \
  static void check_##NAME(::handgrad::exercises::Check& check);                                           \
  static const ::handgrad::exercises::Registration registration_##NAME(#NAME, __VA_ARGS__, &check_##NAME); \
  static void check_##NAME([[maybe_unused]] ::handgrad::exercises::Check& check)
