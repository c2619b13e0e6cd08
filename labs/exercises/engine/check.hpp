#pragma once
// What an exercise's check.cpp is written with.
#include <functional>
#include <iosfwd>
#include <string>
#include <typeinfo>
#include <vector>

#include "exercises/exercise.hpp"
#include "handgrad/check/gradcheck.hpp"

namespace handgrad::exercises {

/// A function of the learner's, as it comes out of the compiled file.
struct Entry {
  const char* name;
  const char* type;  // of its address, as typeid names it
  void (*function)();
};

Tensor<double> tensor(const Matrix& m);
Tensor<double> tensor(const Vector& v);
Tensor<double> tensor(double number);
Matrix matrix(const Tensor<double>& t);
Vector vector(const Tensor<double>& t);
/// From N(0, 1), the same at every call with the same seed.
Matrix random_matrix(int rows, int cols, std::uint64_t seed);
Vector random_vector(int size, std::uint64_t seed);

// The right forward passes.
/// y = x·Wᵀ + b
Matrix linear(const Matrix& x, const Matrix& W, const Vector& b);
Matrix each(Matrix z, const std::function<double(double)>& f);
double sigmoid(double z);
/// Σ y∘δ, as terms: what the gradients of a layer are checked with, whatever δ comes from above.
Tensor<double> projected(const Matrix& y, const Matrix& delta);

/// One run of an exercise's check: what is compared is reported in the order of the calls. The first that is wrong
/// decides.
class Check {
 public:
  Check(const std::string& exercise, const Entry* entries);

  /// The learner's function of that type. Throws ValueError saying which signature is expected.
  template <class F>
  F* function(const std::string& name) const {
    return reinterpret_cast<F*>(find(name, typeid(F*).name()));
  }
  /// A value, not a gradient: `got` must equal `expected`.
  void value(const std::string& name, const Tensor<double>& got, const Tensor<double>& expected,
             const std::vector<KnownMistake>& mistakes = {}, const GradientStep& step = {}, double tolerance = 1e-7);
  /// A gradient, against differences.
  void gradient(const FunctionGradient& gradient);
  /// Something that must hold; `mistake` says what is wrong where it does not.
  void holds(const std::string& name, bool condition, const KnownMistake& mistake);

  const GradientReport& report() const { return report_; }

 private:
  void (*find(const std::string& name, const char* type) const)();
  GradientReport report_;
  const Entry* entries_;
};

/// An exercise's check and the names of the functions that it calls.
struct Registered {
  std::string exercise;
  std::vector<std::string> functions;
  void (*run)(Check&);
};
/// Throws ValueError for an exercise without a check.
const Registered& check_of(const std::string& exercise);

/// Runs it; what the learner's functions throw becomes the report's only entry.
GradientReport run_check(const std::string& exercise, const Entry* entries);

/// Per tensor, in backward order: verdict, error against what is expected, the worst entries, the diagnosis.
void print_verdict(std::ostream& out, const GradientReport& report, bool colour);

/// The exit status of a child that was stopped because a function of the learner's computed too long.
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
