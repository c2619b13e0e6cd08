#include "exercises/engine/check.hpp"

using namespace handgrad;
using namespace handgrad::exercises;

EXERCISE(fault_mean_of_means, {"part_delta"}) {
  const auto part_delta = check.function<Vector(const Vector&, const Vector&, int, int)>("part_delta");
  check.on_paper(2, [=](int k) -> Paper {  // the first rows of three
    const Vector p = paper_vector(3, 0), y = paper_vector(3, 1);
    Vector right(k + 1);
    for (int n = 0; n <= k; ++n) right(n) = 2 * (p(n) - y(n)) / 3;
    return {{{"p", tensor(p)}, {"t", tensor(y)}, {"from", tensor(0.0)}, {"to", tensor(k + 1.0)}},
            "delta",
            tensor(part_delta(p, y, 0, k + 1)),
            tensor(right)};
  });
  const Vector p = random_vector(7, 1), y = random_vector(7, 2);
  Vector delta(7), means(7);
  for (const auto& [from, to] : {std::pair(0, 2), std::pair(2, 7)}) {
    const Vector part = part_delta(p, y, from, to);
    for (int n = from; n < to; ++n) {
      delta(n) = part(n - from);
      means(n) = 2 * (p(n) - y(n)) / (to - from);
    }
  }
  check.gradient(
      {"delta",
       tensor(delta),
       tensor(p),
       [&](const Tensor<double>& v) {
         Tensor<double> terms = v.clone();
         for (int n = 0; n < 7; ++n) terms.data()[n] = std::pow(v.data()[n] - y(n), 2) / 7;
         return terms;
       },
       {},
       {{tensor(means), Cause::NotAveraged, "each part is averaged by itself: small parts weigh too much",
         "it is 2(p − t) over the rows of the part", "L is a mean over all N rows: every part divides by N"}}});
}
