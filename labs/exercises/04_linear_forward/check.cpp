#include "exercises/engine/check.hpp"

using namespace handgrad;
using namespace handgrad::exercises;

EXERCISE(linear_forward, {"linear_forward"}) {
  const auto forward = check.function<Matrix(const Matrix&, const Matrix&, const Vector&)>("linear_forward");
  check.on_paper([=](int N, int D, int C) -> Paper {
    const Matrix x = paper_matrix(N, D, 0), W = paper_matrix(C, D, 1);
    const Vector b = paper_vector(C, 2);
    return {
        {{"x", tensor(x)}, {"W", tensor(W)}, {"b", tensor(b)}}, "y", tensor(forward(x, W, b)), tensor(linear(x, W, b))};
  });
  const Matrix x = random_matrix(5, 3, 1), W = random_matrix(7, 3, 2);
  const Vector b = random_vector(7, 3);
  Matrix last(5, 7);
  for (int n = 0; n < 5; ++n)
    for (int o = 0; o < 7; ++o) last(n, o) = x(n, 2) * W(o, 2);
  std::vector<KnownMistake> mistakes = left_out(3, "input", [&](int i) {
    Matrix share(5, 7);
    for (int n = 0; n < 5; ++n)
      for (int o = 0; o < 7; ++o) share(n, o) = x(n, i) * W(o, i) + (i == 1 ? b(o) : 0);
    return tensor(share);
  });
  mistakes.push_back({tensor(linear(x, W, Vector(7))), Cause::BiasMissing, "the bias is missing", "this is x·Wᵀ alone",
                      "bₒ is added once to each yₙₒ"});
  mistakes.push_back({tensor(last), Cause::Other, "the sum over i is missing", "only the last term is there",
                      "+= in the loop over i"});
  const auto minus = [](double v) { return -v; };
  const Matrix minus_b = linear(each(x, minus), W, b);  // b − x·Wᵀ, and the opposite
  mistakes.push_back({tensor(minus_b), Cause::Sign, "a sign in the forward is wrong: that of the products",
                      "this is b − x·Wᵀ", "yₙₒ += xₙᵢ·Wₒᵢ in the loop over i"});
  mistakes.push_back({tensor(each(minus_b, minus)), Cause::Sign, "a sign in the forward is wrong: that of the bias",
                      "this is x·Wᵀ − b", "y = x·Wᵀ + b"});
  check.value("y", tensor(forward(x, W, b)), tensor(linear(x, W, b)), mistakes);
}
