#include "exercises/engine/check.hpp"

using namespace handgrad;
using namespace handgrad::exercises;

EXERCISE(sigmoid, {"sigmoid", "sigmoid_derivative"}) {
  const auto theirs = check.function<double(double)>("sigmoid");
  const auto derivative = check.function<double(double)>("sigmoid_derivative");
  check.on_paper(4, [=](int k) -> Paper {
    const double z = k < 2 ? k : k == 2 ? 1000 : -1000, y = 0.25 * (k % 2 + 1);
    const double got = theirs(z), expected = sigmoid(z);
    if (!(std::abs(got - expected) <= 1e-9)) return {{{"z", tensor(z)}}, "y", tensor(got), tensor(expected)};
    return {{{"y", tensor(y)}}, "σ′", tensor(derivative(y)), tensor(y * (1 - y))};
  });
  Matrix z = random_matrix(5, 3, 1);
  const Matrix y = each(z, sigmoid);
  Matrix extremes(1, 2);
  extremes(0, 0) = 1000;
  extremes(0, 1) = -1000;
  check.value("y = σ(z)", tensor(each(z, theirs)), tensor(y),
              {{tensor(each(z, [](double v) { return sigmoid(-v); })), Cause::Other, "this is σ(−z)",
                "it has the values of the sigmoid at −z", "the sign in the exponent: 1/(1 + e⁻ᶻ)"}});
  check.value("σ(±1000)", tensor(each(extremes, theirs)), tensor(each(extremes, sigmoid)));
  const Matrix dy(5, 3, 1);  // δ = 1, so that the result is σ′ itself
  check.gradient({"σ′",
                  tensor(each(y, derivative)),
                  tensor(z),
                  [&](const Tensor<double>& value) { return tensor(each(matrix(value), sigmoid)); },
                  {tensor(z), tensor(y), tensor(dy), {}, {}, 0}});
}
