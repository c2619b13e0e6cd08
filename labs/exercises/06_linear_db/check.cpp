#include "exercises/engine/check.hpp"

using namespace handgrad;
using namespace handgrad::exercises;

EXERCISE(linear_db, {"linear_db"}) {
  const auto linear_db = check.function<Vector(const Matrix&)>("linear_db");
  check.on_paper([=](int N, int, int C) -> Paper {
    const Matrix delta = paper_matrix(N, C, 1);
    return {{{"delta", tensor(delta)}},
            "db",
            tensor(linear_db(delta)),
            slope(tensor(Vector(C)), [&](const Tensor<double>& b) {
              return projected(linear(Matrix(N, 1), Matrix(C, 1), vector(b)), delta);
            })};
  });
  const Matrix x = random_matrix(5, 3, 1), W = random_matrix(7, 3, 2), delta = random_matrix(5, 7, 4);
  const Vector b = random_vector(7, 3);
  check.gradient({"db",
                  tensor(linear_db(delta)),
                  tensor(b),
                  [&](const Tensor<double>& value) { return projected(linear(x, W, vector(value)), delta); },
                  {tensor(x), tensor(linear(x, W, b)), tensor(delta), {}, {{"W", tensor(W)}, {"b", tensor(b)}}, 5},
                  left_out(5, "example", [&](int n) {
                    Vector share(7);
                    for (int o = 0; o < 7; ++o) share(o) = delta(n, o);
                    return tensor(share);
                  })});
}
