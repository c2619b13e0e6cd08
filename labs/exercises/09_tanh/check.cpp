#include "exercises/engine/check.hpp"

using namespace handgrad;
using namespace handgrad::exercises;

EXERCISE(tanh, {"tanh_backward"}) {
  const auto backward = check.function<Matrix(const Matrix&, const Matrix&)>("tanh_backward");
  const Matrix z = random_matrix(5, 7, 1), delta = random_matrix(5, 7, 4);
  const auto right = [](const Matrix& v) { return each(v, [](double u) { return std::tanh(u); }); };
  check.gradient({"dz",
                  tensor(backward(delta, right(z))),
                  tensor(z),
                  [&](const Tensor<double>& value) { return projected(right(matrix(value)), delta); },
                  {tensor(z), tensor(right(z)), tensor(delta), {}, {}, 5}});
}
