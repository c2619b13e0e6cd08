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
  Tensor<double> loss(const Matrix& x, const Matrix& t) const {
    Matrix terms = z(x);
    for (int n = 0; n < x.rows(); ++n) {
      const double v = terms(n, 0);
      terms(n, 0) = (std::max(v, 0.0) - v * t(n, 0) + std::log1p(std::exp(-std::abs(v)))) / x.rows();
    }
    return tensor(terms);
  }
};

/// What a step's (before − after)/η is when W2 is changed before δ1 has been made of it: after the whole batch, or with
/// each example at once, which then meets the changed W2 with the next one; maybe with all of it once more at the end.
enum class Early { Batch, Example };
struct Gradients {
  Matrix dW1 = Matrix(5, 2), dW2 = Matrix(1, 5);
  Vector db1 = Vector(5), db2 = Vector(1);
};
Gradients too_early(Net net, const Matrix& x, const Matrix& t, double lr, Early when, bool delta1_first, bool once_more,
                    bool b2_too) {
  Gradients d;
  const Matrix W2 = net.W2;
  const int N = x.rows();
  Vector delta2(N);
  for (int n = 0; n < N; ++n) {
    Matrix one(1, 2);
    one(0, 0) = x(n, 0), one(0, 1) = x(n, 1);
    delta2(n) = (sigmoid(net.z(one)(0, 0)) - t(n, 0)) / N;
    d.db2(0) += delta2(n);
    const Matrix h = net.h(one), before = net.W2;
    for (int j = 0; j < 5; ++j) {
      d.dW2(0, j) += delta2(n) * h(0, j);
      if (when == Early::Example) net.W2(0, j) -= lr * delta2(n) * h(0, j);
    }
    if (when == Early::Example && b2_too) net.b2(0) -= lr * delta2(n);
    if (when == Early::Batch) continue;
    for (int j = 0; j < 5; ++j) {
      const double delta1 = delta2(n) * (delta1_first ? before : net.W2)(0, j) * (1 - h(0, j) * h(0, j));
      d.db1(j) += delta1;
      for (int i = 0; i < 2; ++i) d.dW1(j, i) += delta1 * x(n, i);
    }
  }
  if (when == Early::Batch) {
    const Matrix h = net.h(x);
    for (int n = 0; n < N; ++n)
      for (int j = 0; j < 5; ++j) {
        const double delta1 = delta2(n) * (W2(0, j) - lr * d.dW2(0, j)) * (1 - h(n, j) * h(n, j));
        d.db1(j) += delta1;
        for (int i = 0; i < 2; ++i) d.dW1(j, i) += delta1 * x(n, i);
      }
  } else if (once_more) {
    for (int j = 0; j < 5; ++j) d.dW2(0, j) *= 2;
    if (b2_too) d.db2(0) *= 2;
  }
  return d;
}

/// What the network says of the points around the four: # class 1, · class 0; the four in brackets.
std::string plane(const Net& net) {
  std::string text =
      "What your network has learnt of the plane: # is class 1, · class 0, in brackets the four points.\n\n";
  for (int row = 0; row < 17; ++row) {
    text += "  ";
    for (int column = 0; column < 41; ++column) {
      Matrix x(1, 2);
      x(0, 0) = -0.5 + column / 20.0, x(0, 1) = 1.5 - row / 8.0;
      const std::string mark = net.z(x)(0, 0) > 0 ? "#" : "·";
      const bool line = row == 4 || row == 12;
      text += line && (column == 9 || column == 29) ? "[" : line && (column == 11 || column == 31) ? "]" : mark;
    }
    text += row == 4 ? "   x₂ = 1\n" : row == 12 ? "   x₂ = 0\n" : "\n";
  }
  return text + "           x₁ = 0              x₁ = 1\n";
}

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
  check.on_paper(4, [=](int k) -> Paper {  // W1 = b1 = 0 makes h = 0, and with b2 = 0 p = 1/2
    const int N = k == 0 ? 1 : 2, H = k < 3 ? 1 : 2;
    Net net;
    net.W1 = k < 2 ? Matrix(H, 2) : paper_matrix(H, 2, 0), net.b1 = Vector(H);
    net.W2 = paper_matrix(1, H, 1), net.b2 = Vector(1);
    const Matrix x = paper_matrix(N, 2, 0), t = each(paper_matrix(N, 1, 2), [](double v) { return v > 0; });
    const auto stepped = [&](auto Net::*member, const auto& back) {  // w − η·∂L/∂w
      const T before = tensor(net.*member), d = slope(before, [&](const T&v) {
                                              Net moved = net;
                                              moved.*member = back(v);
                                              return moved.loss(x, t);
                                            });
      T after = before.clone();
      for (std::size_t i = 0; i < after.numel(); ++i) after.data()[i] -= lr * d.data()[i];
      return after;
    };
    Net after = net;
    step(x, t, after.W1, after.b1, after.W2, after.b2, lr);
    return first_wrong({{"x", tensor(x)},
                        {"t", tensor(t)},
                        {"W1", tensor(net.W1)},
                        {"b1", tensor(net.b1)},
                        {"W2", tensor(net.W2)},
                        {"b2", tensor(net.b2)},
                        {"lr", tensor(lr)}},
                       {{"b2", tensor(after.b2), stepped(&Net::b2, vector)},
                        {"W2", tensor(after.W2), stepped(&Net::W2, matrix)},
                        {"b1", tensor(after.b1), stepped(&Net::b1, vector)},
                        {"W1", tensor(after.W1), stepped(&Net::W1, matrix)}});
  });
  {  // seven points, so that a factor 7 names the batch
    const Matrix x = random_matrix(7, 2, 5), t = each(random_matrix(7, 1, 6), [](double v) { return v > 0; });
    const Net net;
    Net after = net;
    step(x, t, after.W1, after.b1, after.W2, after.b2, lr);
    const Matrix h = net.h(x), z = net.z(x);
    Matrix delta2(7, 1), dh(7, 5);
    for (int n = 0; n < 7; ++n) {
      delta2(n, 0) = (sigmoid(z(n, 0)) - t(n, 0)) / 7;
      for (int j = 0; j < 5; ++j) dh(n, j) = delta2(n, 0) * net.W2(0, j);
    }
    const GradientStep second{
        tensor(h), tensor(z), tensor(delta2), {}, {{"W2", tensor(net.W2)}, {"b2", tensor(net.b2)}}, 7};
    const GradientStep first{tensor(x), tensor(h), tensor(dh), {}, {{"W1", tensor(net.W1)}, {"b1", tensor(net.b1)}}, 7};
    const auto loss_with = [&](auto Net::*member, const auto& value) {
      Net moved = net;
      moved.*member = value;
      return moved.loss(x, t);
    };
    Gradients right, no_W2, divided;  // with δ1 = δ2∘tanh′; and with δ2 = ∂ℓ/∂p
    for (int n = 0; n < 7; ++n) {
      right.db2(0) += delta2(n, 0);
      for (int j = 0; j < 5; ++j) {
        right.dW2(0, j) += delta2(n, 0) * h(n, j);
        const double delta1 = dh(n, j) * (1 - h(n, j) * h(n, j));
        right.db1(j) += delta1;
        const double slope = 1 - h(n, j) * h(n, j), p = sigmoid(z(n, 0)), by_p = 1 / (p * (1 - p));
        no_W2.db1(j) += delta2(n, 0) * slope;
        divided.dW2(0, j) += by_p * delta2(n, 0) * h(n, j);
        divided.db1(j) += by_p * delta1;
        if (j == 0) divided.db2(0) += by_p * delta2(n, 0);
        for (int i = 0; i < 2; ++i) {
          right.dW1(j, i) += delta1 * x(n, i);
          no_W2.dW1(j, i) += delta2(n, 0) * slope * x(n, i);
          divided.dW1(j, i) += by_p * delta1 * x(n, i);
        }
      }
    }
    const auto uphill = [&](const T& moved, const T& d) {  // did it go along +d?
      double along = 0;
      for (std::size_t i = 0; i < d.numel(); ++i) along += moved.data()[i] * d.data()[i];
      return along < 0;
    };
    const bool all_uphill = uphill(gradient(net.b2, after.b2, lr), tensor(right.db2)) &&
                            uphill(gradient(net.W2, after.W2, lr), tensor(right.dW2)) &&
                            uphill(gradient(net.b1, after.b1, lr), tensor(right.db1)) &&
                            uphill(gradient(net.W1, after.W1, lr), tensor(right.dW1));
    const auto mistakes = [&](const std::string& name, auto Gradients::*part) {
      std::vector<KnownMistake> all;
      T opposite = tensor(right.*part);
      for (std::size_t i = 0; i < opposite.numel(); ++i) opposite.data()[i] *= -1;
      all.push_back({opposite, Cause::Sign,
                     all_uphill ? "the whole step goes uphill: its sign is wrong"
                                : "the update of " + name + " goes uphill: it adds where it must subtract",
                     "it is " + name + " + η·d" + name,
                     all_uphill ? "p − t in δ2, or the four lines w −= η·dw" : name + " −= η·d" + name});
      for (std::size_t column = 0; opposite.rank() == 2 && opposite.size(0) > 1 && column < opposite.size(1);
           ++column) {
        const std::string of = "column " + std::to_string(column) + " of " + name;
        T in_part = tensor(right.*part);
        for (std::size_t i = column; i < in_part.numel(); i += opposite.size(1)) in_part.data()[i] *= -1;
        all.push_back({in_part, Cause::Sign, "the update of " + of + " goes uphill: it adds where it must subtract",
                       "it is " + name + " + η·d" + name + " there, and right elsewhere",
                       "the line that changes " + name + "(j, " + std::to_string(column) + "): −="});
      }
      all.push_back({tensor(divided.*part), Cause::DerivativeMissing, "δ2 is ∂ℓ/∂p, not ∂ℓ/∂z: σ′ is missing",
                     "it is divided by p(1 − p), which σ′ would cancel", "δ2 = (p − t)/N"});
      if (name == "b1" || name == "W1")
        all.push_back({tensor(no_W2.*part), Cause::WeightMissing, "W2 is left out of the chain",
                       "it is made with δ1 = δ2∘(1 − h²)", "δ1 = δ2·W2∘(1 − h²)"});
      const std::string where = "first all of dW2, db2, dW1, db1, then the four lines w −= η·dw";
      const auto add = [&](const Gradients& d, const std::string& evidence) {
        all.push_back({tensor(d.*part), Cause::UpdatedTooEarly,
                       "W2 is updated too early: the gradients still need the old one", evidence, where});
      };
      add(too_early(net, x, t, lr, Early::Batch, false, false, false), "it is made with δ1 from the new W2");
      for (int k = 0; k < 8; ++k)
        add(too_early(net, x, t, lr, Early::Example, (k & 1) != 0, (k & 2) != 0, (k & 4) != 0),
            "it is what comes out when each example changes W2 before the next one is looked at");
      return all;
    };
    check.gradient({"db2", gradient(net.b2, after.b2, lr), tensor(net.b2),
                    [&](const T& v) { return loss_with(&Net::b2, vector(v)); }, second,
                    mistakes("b2", &Gradients::db2)});
    check.gradient({"dW2", gradient(net.W2, after.W2, lr), tensor(net.W2),
                    [&](const T& v) { return loss_with(&Net::W2, matrix(v)); }, second,
                    mistakes("W2", &Gradients::dW2)});
    check.gradient({"db1", gradient(net.b1, after.b1, lr), tensor(net.b1),
                    [&](const T& v) { return loss_with(&Net::b1, vector(v)); }, first,
                    mistakes("b1", &Gradients::db1)});
    check.gradient({"dW1", gradient(net.W1, after.W1, lr), tensor(net.W1),
                    [&](const T& v) { return loss_with(&Net::W1, matrix(v)); }, first,
                    mistakes("W1", &Gradients::dW1)});
    if (!check.report().passed()) return;
  }
  Matrix x(4, 2), t(4, 1);
  for (int n = 0; n < 4; ++n) {
    x(n, 0) = n / 2;
    x(n, 1) = n % 2;
    t(n, 0) = (n / 2) ^ (n % 2);
  }
  Net net;
  for (int epoch = 0; epoch < 2000; ++epoch) step(x, t, net.W1, net.b1, net.W2, net.b2, lr);
  check.picture(plane(net));
  double loss = 0;
  for (const double term : net.loss(x, t).to_vector()) loss += term;
  check.holds("XOR is learnt", loss < 0.05,
              {{},
               Cause::Other,
               "the network does not learn XOR, though one step is right",
               "after 2000 steps the loss is " + std::to_string(loss),
               "what a step leaves behind for the next one"});
}
