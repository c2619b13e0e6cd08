#include "exercises/engine/check.hpp"

using namespace handgrad;
using namespace handgrad::exercises;

EXERCISE(neuron, {"neuron", "neuron_dw"}) {
  const auto neuron = check.function<double(const Vector&, double, const Vector&)>("neuron");
  const auto neuron_dw = check.function<Vector(double, const Vector&)>("neuron_dw");
  check.on_paper([=](int N, int D, int) -> Paper {
    const Vector weights = paper_vector(D, 1), in = paper_vector(D, 0);
    double sum = N;  // the bias
    for (int i = 0; i < D; ++i) sum += weights(i) * in(i);
    Vector right = in;
    for (int i = 0; i < D; ++i) right(i) *= 3;
    const Tensor<double> got = tensor(neuron(weights, N, in));
    if (std::abs(got.item() - sum) > 1e-9)
      return {{{"w", tensor(weights)}, {"b", tensor(double(N))}, {"x", tensor(in)}}, "y", got, tensor(sum)};
    return {{{"delta", tensor(3.0)}, {"x", tensor(in)}}, "dw", tensor(neuron_dw(3, in)), tensor(right)};
  });
  const Vector w = random_vector(7, 1), x = random_vector(7, 2);
  const double b = 0.7, delta = -1.3;
  const auto y = [&](const Vector& weights) {
    double sum = b;
    for (int i = 0; i < x.size(); ++i) sum += weights(i) * x(i);
    return sum;
  };
  std::vector<KnownMistake> of_y =
      left_out(x.size(), "input", [&](int i) { return tensor(w(i) * x(i) + (i == 3 ? b : 0)); });
  of_y.push_back({tensor(y(w) - b), Cause::BiasMissing, "the bias is missing", "it is Σᵢ wᵢxᵢ alone",
                  "y = Σᵢ wᵢxᵢ + b: b is added once"});
  of_y.push_back({tensor(2 * b - y(w)), Cause::Sign, "a sign in the forward is wrong: that of the products",
                  "it is b − Σᵢ wᵢxᵢ", "y += wᵢ·xᵢ in the loop"});
  of_y.push_back({tensor(y(w) - 2 * b), Cause::Sign, "a sign in the forward is wrong: that of the bias",
                  "it is Σᵢ wᵢxᵢ − b", "y = Σᵢ wᵢxᵢ + b"});
  check.value("y", tensor(neuron(w, b, x)), tensor(y(w)), of_y);
  Vector ones(7, 1);
  check.gradient({"dw",
                  tensor(neuron_dw(delta, x)),
                  tensor(w),
                  [&](const Tensor<double>& value) { return tensor(delta * y(vector(value))); },
                  {},
                  {{tensor(x), Cause::UpstreamIgnored, "the δ that comes from above is ignored",
                    "your dw is x itself; multiplying it by δ makes it right", "∂L/∂wᵢ = ∂L/∂y · ∂y/∂wᵢ"}}});
}
