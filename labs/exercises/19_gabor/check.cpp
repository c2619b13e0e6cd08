#include "exercises/engine/check.hpp"

using namespace handgrad;
using namespace handgrad::exercises;

namespace {

double right(double w1, double w2, double x) {
  const double h = w1 + 0.06 * w2 * x;
  return std::sin(h) * std::exp(-h * h / 32);
}

}  // namespace

EXERCISE(gabor, {"gabor", "gabor_gradient"}) {
  const auto gabor = check.function<double(double, double, double)>("gabor");
  const auto gradient =
      check.function<void(double, double, const Vector&, const Vector&, double&, double&)>("gabor_gradient");
  check.on_paper(3, [=](int k) -> Paper {  // w1 = w2 = 0: there h = 0, y = 0, dy/dh = 1
    const double w1 = k < 2 ? 0 : 1, w2 = k < 2 ? 0 : 10;
    const Vector x = paper_vector(k == 0 ? 1 : 2, 2), t = paper_vector(k == 0 ? 1 : 2, 1);
    using T = Tensor<double>;
    const auto loss = [&](double a, double b) {
      Vector terms(x.size());
      for (int n = 0; n < x.size(); ++n) terms(n) = std::pow(right(a, b, x(n)) - t(n), 2) / x.size();
      return tensor(terms);
    };
    double dw1 = 0, dw2 = 0;
    const double y = gabor(w1, w2, x(0));
    gradient(w1, w2, x, t, dw1, dw2);
    return first_wrong({{"w1", tensor(w1)}, {"w2", tensor(w2)}, {"x", tensor(x)}, {"t", tensor(t)}},
                       {{"y of the first x", tensor(y), tensor(right(w1, w2, x(0)))},
                        {"dw1", tensor(dw1), slope(tensor(w1), [&](const T& v) { return loss(v.item(), w2); })},
                        {"dw2", tensor(dw2), slope(tensor(w2), [&](const T& v) { return loss(w1, v.item()); })}});
  });
  const int N = 7;
  const Vector x{-13, -8, -5, 1, 4, 7, 14};
  const double w1 = 2, w2 = 14;
  Vector t(N), y(N), theirs(N);
  double cosine_only = 0, no_factor = 0, no_inner = 0, last = 0;
  for (int n = 0; n < N; ++n) {
    t(n) = right(3, 15, x(n));
    y(n) = right(w1, w2, x(n));
    theirs(n) = gabor(w1, w2, x(n));
    const double h = w1 + 0.06 * w2 * x(n), bell = std::exp(-h * h / 32), delta = 2 * (y(n) - t(n)) / N;
    const double dh = delta * bell * (std::cos(h) - std::sin(h) * h / 16);
    cosine_only += delta * bell * std::cos(h);
    no_factor += dh * x(n);
    no_inner += dh;
    last = dh;
  }
  const auto loss = [&](double a, double b) {
    Vector terms(N);
    for (int n = 0; n < N; ++n) terms(n) = std::pow(right(a, b, x(n)) - t(n), 2) / N;
    return tensor(terms);
  };
  check.value("y", tensor(theirs), tensor(y));
  double dw1 = 0, dw2 = 0;
  gradient(w1, w2, x, t, dw1, dw2);
  GradientStep step;
  step.batch = 7;
  const std::string where = "dw = Σ δ·dy/dh·∂h/∂w";
  check.gradient({"dw1",
                  tensor(dw1),
                  tensor(w1),
                  [&](const Tensor<double>& v) { return loss(v.item(), w2); },
                  step,
                  {{tensor(cosine_only), Cause::Other, "half of the product rule is missing",
                    "it is the derivative with the bell held fast", "(u·v)′ = u′v + uv′: the bell moves with h, too"},
                   {tensor(last), Cause::BiasNotSummed, "dw1 is not summed over the examples",
                    "it is the last one's share", "dw1 += in the loop"}}});
  check.gradient(
      {"dw2",
       tensor(dw2),
       tensor(w2),
       [&](const Tensor<double>& v) { return loss(w1, v.item()); },
       step,
       {{tensor(no_factor), Cause::Other, "the factor 0.06 is missing", "multiplying it by 0.06 makes it right", where},
        {tensor(no_inner), Cause::Other, "the inner derivative ∂h/∂w2 is missing", "it is dw1",
         "h = w1 + 0.06·w2·x, so ∂h/∂w2 = 0.06·x"}}});
}
