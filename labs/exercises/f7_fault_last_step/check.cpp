#include "exercises/engine/check.hpp"

using namespace handgrad;
using namespace handgrad::exercises;

namespace {

Vector states(const Vector& x, double w, double u) {
  Vector h(x.size());
  for (int t = 0; t < x.size(); ++t) h(t) = std::tanh(w * x(t) + (t > 0 ? u * h(t - 1) : 0));
  return h;
}

/// What a backward can do wrongly.
enum class Fault { None, LastStep, Cut, NewState, NoDerivative };

struct Gradients {
  double dw = 0, du = 0;
};
Gradients gradients(const Vector& delta, const Vector& x, const Vector& h, double u, Fault fault) {
  Gradients d;
  double carry = 0;
  for (int t = x.size() - 1; t >= 0; --t) {
    const double direct = fault == Fault::LastStep && t + 1 < x.size() ? 0 : delta(t);
    const double g = (direct + carry) * (fault == Fault::NoDerivative ? 1 : 1 - h(t) * h(t));
    d.dw += g * x(t);
    if (t > 0) d.du += g * (fault == Fault::NewState ? h(t) : h(t - 1));
    carry = fault == Fault::Cut ? 0 : g * u;
  }
  return d;
}

}  // namespace

EXERCISE(fault_last_step, {"recurrent_backward"}) {
  const auto backward =
      check.function<void(const Vector&, const Vector&, const Vector&, double, double&, double&)>("recurrent_backward");
  check.on_paper(5, [=](int k) -> Paper {  // first h = 0, as w = u = 0 makes it, then h = ½, 0, ½, 0
    const int steps = k < 3 ? k + 1 : k - 1;
    const Vector x = paper_vector(steps, 0), delta = paper_vector(steps, 1);
    Vector h(steps);
    for (int t = 0; t < steps && k >= 3; ++t) h(t) = t % 2 == 0 ? 0.5 : 0;
    Vector got(2), right(2);
    backward(delta, x, h, 1, got(0), got(1));
    const Gradients g = gradients(delta, x, h, 1, Fault::None);
    right(0) = g.dw, right(1) = g.du;
    return {{{"delta", tensor(delta)}, {"x", tensor(x)}, {"h", tensor(h)}, {"u", tensor(1.0)}},
            "dw, du",
            tensor(got),
            tensor(right)};
  });
  const Vector x = random_vector(7, 1), delta = random_vector(7, 2);
  const double w = 0.7, u = -0.6;
  const Vector h = states(x, w, u);
  Gradients got;
  backward(delta, x, h, u, got.dw, got.du);
  const auto loss = [&](double weight, double recurrent) {
    Vector terms = states(x, weight, recurrent);
    for (int t = 0; t < terms.size(); ++t) terms(t) *= delta(t);
    return tensor(terms);
  };
  const std::string where = "dh(t) = δ(t) + u·g(t+1), g = dh∘(1 − h²): two ways from h(t) to L, added";
  const auto mistakes = [&](double Gradients::*part) {
    const auto with = [&](Fault fault) { return tensor(gradients(delta, x, h, u, fault).*part); };
    return std::vector<KnownMistake>{
        {with(Fault::LastStep), Cause::LastStepOnly, "of δ only the last step's is used",
         "it is right with δ(t) = 0 for all t but the last", where},
        {with(Fault::Cut), Cause::StateGradientDropped, "what comes back from the next step is missing",
         "it is made with dh(t) = δ(t)", where},
        {with(Fault::NewState), Cause::WrongState, "du is made of h(t), the new state", "Σ g(t)·h(t) is what you have",
         "u multiplies the state before: du += g(t)·h(t−1)"},
        {with(Fault::NoDerivative), Cause::DerivativeMissing, "the derivative of tanh is missing: 1 − h(t)²",
         "it is made with g = dh", where}};
  };
  using T = Tensor<double>;
  check.gradient(
      {"dw", tensor(got.dw), tensor(w), [&](const T& v) { return loss(v.item(), u); }, {}, mistakes(&Gradients::dw)});
  check.gradient(
      {"du", tensor(got.du), tensor(u), [&](const T& v) { return loss(w, v.item()); }, {}, mistakes(&Gradients::du)});
}
