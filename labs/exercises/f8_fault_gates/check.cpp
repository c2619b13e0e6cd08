#include "exercises/engine/check.hpp"

using namespace handgrad;
using namespace handgrad::exercises;

namespace {

constexpr int H = 5;

Vector each(const Vector& v, double (*f)(double)) {
  Vector result(v.size());
  for (int j = 0; j < v.size(); ++j) result(j) = f(v(j));
  return result;
}
double tangent(double a) { return std::tanh(a); }

}  // namespace

EXERCISE(fault_gates, {"gates_backward"}) {
  const auto backward =
      check.function<Vector(const Vector&, const Vector&, const Vector&, const Vector&, const Vector&)>(
          "gates_backward");
  check.on_paper(1, [=](int) -> Paper {
    const Vector dc{2}, s{3}, i{0.5}, f{0.25}, g{0.5};
    return {{{"dc", tensor(dc)}, {"s", tensor(s)}, {"i", tensor(i)}, {"f", tensor(f)}, {"g", tensor(g)}},
            "da",
            tensor(backward(dc, s, i, f, g)),
            tensor(Vector{2 * 0.5 * 0.25, 2 * 3 * 0.25 * 0.75, 2 * 0.5 * 0.75})};
  });
  const Vector a[3] = {random_vector(H, 1), random_vector(H, 2), random_vector(H, 3)};
  const Vector s = random_vector(H, 4), dc = random_vector(H, 5);
  const Vector i = each(a[0], sigmoid), f = each(a[1], sigmoid), g = each(a[2], tangent);
  const Vector da = backward(dc, s, i, f, g);
  if (da.size() != 3 * H) {
    check.value("da", tensor(da), tensor(Vector(3 * H)));
    return;
  }
  // Right, without the gate's own derivative, and with the other kind of it.
  Vector right[3] = {Vector(H), Vector(H), Vector(H)}, bare[3] = {Vector(H), Vector(H), Vector(H)}, other = Vector(H);
  for (int j = 0; j < H; ++j) {
    bare[0](j) = dc(j) * g(j), bare[1](j) = dc(j) * s(j), bare[2](j) = dc(j) * i(j);
    right[0](j) = bare[0](j) * i(j) * (1 - i(j));
    right[1](j) = bare[1](j) * f(j) * (1 - f(j));
    right[2](j) = bare[2](j) * (1 - g(j) * g(j));
    other(j) = bare[2](j) * g(j) * (1 - g(j));
  }
  const std::string names[3] = {"i", "f", "g"};
  const auto loss = [&](int gate, const Vector& sums) {
    Vector terms(H);
    for (int j = 0; j < H; ++j) {
      const double in = gate == 0 ? sigmoid(sums(j)) : i(j), kept = gate == 1 ? sigmoid(sums(j)) : f(j),
                   offered = gate == 2 ? tangent(sums(j)) : g(j);
      terms(j) = dc(j) * (kept * s(j) + in * offered);
    }
    return tensor(terms);
  };
  for (int gate = 0; gate < 3; ++gate) {
    Vector block(H);
    for (int j = 0; j < H; ++j) block(j) = da(gate * H + j);
    std::vector<KnownMistake> mistakes{
        {tensor(bare[gate]), Cause::DerivativeMissing, "the derivative of the gate " + names[gate] + " is missing",
         "it is the product rule's other factors alone", "σ′ = σ(1−σ), tanh′ = 1 − tanh²"}};
    for (int k = 0; k < 3; ++k)
      if (k != gate)
        mistakes.push_back({tensor(right[k]), Cause::GatesSwapped,
                            "the block of " + names[gate] + " holds the gradient of " + names[k],
                            "it is ∂L/∂a_" + names[k] + ", entry by entry",
                            "the blocks of a, and so of da, are i, f, g"});
    if (gate == 2)
      mistakes.push_back({tensor(other), Cause::WrongDerivative, "g has the derivative of a sigmoid, and is a tanh",
                          "it is dc∘i∘g(1−g)", "g = tanh(a_g), so its derivative is 1 − g²"});
    check.gradient({"da_" + names[gate],
                    tensor(block),
                    tensor(a[gate]),
                    [&, gate](const Tensor<double>& v) { return loss(gate, vector(v)); },
                    {},
                    mistakes});
  }
}
