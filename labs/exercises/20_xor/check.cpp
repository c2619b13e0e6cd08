#include "exercises/engine/check.hpp"

using namespace handgrad;
using namespace handgrad::exercises;

namespace {

struct Net {
  Matrix W1 = random_matrix(5, 2, 1), W2 = random_matrix(1, 5, 2);
  Vector b1 = random_vector(5, 3), b2 = random_vector(1, 4);
  Matrix z1(const Matrix& x) const { return linear(x, W1, b1); }
  Matrix h(const Matrix& x) const {
    return each(z1(x), [](double v) { return std::tanh(v); });
  }
  Matrix z(const Matrix& x) const { return linear(h(x), W2, b2); }
  Tensor<double> loss(const Matrix& x, const Matrix& y) const {
    Matrix terms = z(x);
    for (int n = 0; n < x.rows(); ++n) {
      const double v = terms(n, 0);
      terms(n, 0) = (std::max(v, 0.0) - v * y(n, 0) + std::log1p(std::exp(-std::abs(v)))) / x.rows();
    }
    return tensor(terms);
  }
};

/// (before − after)/η
template <class M>
Tensor<double> gradient(const M& before, const M& after, double lr) {
  Tensor<double> g = tensor(before);
  for (std::size_t i = 0; i < g.numel(); ++i) g.data()[i] = (g.data()[i] - after.elements()[i]) / lr;
  return g;
}

}  // namespace

EXERCISE(xor, {
                  "xor_step"}) {
  const auto step =
      check.function<void(const Matrix&, const Matrix&, Matrix&, Vector&, Matrix&, Vector&, double)>("xor_step");
  const double lr = 0.5;
  using T = Tensor<double>;
  {  // seven points, so that a factor 7 names the batch
    const Matrix x = random_matrix(7, 2, 5), y = each(random_matrix(7, 1, 6), [](double v) { return v > 0; });
    const Net net;
    Net after = net;
    step(x, y, after.W1, after.b1, after.W2, after.b2, lr);
    const Matrix h = net.h(x), z = net.z(x);
    Matrix delta2(7, 1), dh(7, 5);
    for (int n = 0; n < 7; ++n) {
      delta2(n, 0) = (sigmoid(z(n, 0)) - y(n, 0)) / 7;
      for (int j = 0; j < 5; ++j) dh(n, j) = delta2(n, 0) * net.W2(0, j);
    }
    const GradientStep second{
        tensor(h), tensor(z), tensor(delta2), {}, {{"W2", tensor(net.W2)}, {"b2", tensor(net.b2)}}, 7};
    const GradientStep first{tensor(x), tensor(h), tensor(dh), {}, {{"W1", tensor(net.W1)}, {"b1", tensor(net.b1)}}, 7};
    const auto loss_with = [&](auto Net::*member, const auto& value) {
      Net moved = net;
      moved.*member = value;
      return moved.loss(x, y);
    };
    check.gradient({"db2", gradient(net.b2, after.b2, lr), tensor(net.b2),
                    [&](const T& v) { return loss_with(&Net::b2, vector(v)); }, second});
    check.gradient({"dW2", gradient(net.W2, after.W2, lr), tensor(net.W2),
                    [&](const T& v) { return loss_with(&Net::W2, matrix(v)); }, second});
    check.gradient({"db1", gradient(net.b1, after.b1, lr), tensor(net.b1),
                    [&](const T& v) { return loss_with(&Net::b1, vector(v)); }, first});
    check.gradient({"dW1", gradient(net.W1, after.W1, lr), tensor(net.W1),
                    [&](const T& v) { return loss_with(&Net::W1, matrix(v)); }, first});
    if (!check.report().passed()) return;
  }
  Matrix x(4, 2), y(4, 1);
  for (int n = 0; n < 4; ++n) {
    x(n, 0) = n / 2;
    x(n, 1) = n % 2;
    y(n, 0) = (n / 2) ^ (n % 2);
  }
  Net net;
  for (int epoch = 0; epoch < 2000; ++epoch) step(x, y, net.W1, net.b1, net.W2, net.b2, lr);
  double loss = 0;
  for (const double term : net.loss(x, y).to_vector()) loss += term;
  check.holds("XOR is learnt", loss < 0.05,
              {{},
               Cause::Other,
               "the network does not learn XOR, though one step is right",
               "after 2000 steps the loss is " + std::to_string(loss),
               "what a step leaves behind for the next one"});
}
