#pragma once
// For writing an exercise's check.cpp.
#include <functional>
#include <iosfwd>
#include <string>
#include <typeinfo>
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

/// Runs the check; an exception from the learner's functions becomes the report's only entry.
GradientReport run_check(const std::string& exercise, const Entry* entries);

/// Per tensor, in backward order: verdict, error, the worst entries, the diagnosis.
void print_verdict(std::ostream& out, const GradientReport& report, bool colour);

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
