#include "exercises/engine/check.hpp"

using namespace handgrad;
using namespace handgrad::exercises;

EXERCISE(linear_dX, {"linear_dX"}) {
  const auto linear_dX = check.function<Matrix(const Matrix&, const Matrix&)>("linear_dX");
  for (const int inputs : {7, 3}) {  // square, and not
    const Matrix x = random_matrix(5, inputs, 1), W = random_matrix(7, inputs, 2), delta = random_matrix(5, 7, 4);
    const Vector b = random_vector(7, 3);
    check.gradient({inputs == 7 ? "dx, W square" : "dx",
                    tensor(linear_dX(delta, W)),
                    tensor(x),
                    [&](const Tensor<double>& value) { return projected(linear(matrix(value), W, b), delta); },
                    {tensor(x), tensor(linear(x, W, b)), tensor(delta), {}, {{"W", tensor(W)}, {"b", tensor(b)}}, 5}});
  }
}
