// Random perceptrons on numbers of every size: correct ones never fail, wrong ones do. For all layers and containers
// see random_networks_test.cpp.
#include <boost/test/unit_test.hpp>
#include <cmath>
#include <cstdint>
#include <memory>
#include <string>

#include "handgrad/handgrad.hpp"

using namespace handgrad;

namespace {

/// y = x with dx = factor·δ.
struct Wrong : Layer<double> {
  double factor;
  explicit Wrong(double c) : factor(c) {}
  void forward_into(const Tensor<double>& x, Tensor<double>& y) override { y.copy_from(x); }
  void backward_into(const Tensor<double>&, const Tensor<double>&, const Tensor<double>& dy,
                     Tensor<double>& dx) override {
    for (std::size_t i = 0; i < dx.numel(); ++i) dx.data()[i] = factor * dy.data()[i];
  }
};

/// A random network with its loss, or none, and its input.
struct Drawn {
  Sequential<double> net;
  std::shared_ptr<Loss<double>> loss;
  Tensor<double> x, y;
  std::string text;

  explicit Drawn(std::uint64_t seed) : generator_(1000003 * seed + 17) {
    manual_seed(seed);
    width_ = 2 + pick(6);
    const std::size_t rows = 2 + pick(6), in = width_, depth = 1 + pick(6);
    for (std::size_t i = 0; i < depth; ++i) add_layer();
    if (pick(5) == 0) net.eval();
    constexpr double scales[] = {0, 1e-6, 1e-4, 1e-2, 1, 1, 1, 1, 10, 1e3, 1e6, 1e9},
                     spreads[] = {1e-3, 1e-2, 0.1, 1, 1, 1, 1, 10, 100, 1e3};
    const double scale = scales[pick(12)] * (pick(2) ? 1 : -1);
    const double spread = spreads[pick(10)] * (scale != 0 && pick(2) ? std::abs(scale) : 1);
    x = Tensor<double>::empty({rows, in});
    normal_(x, scale, spread, generator_);
    text += "| " + std::to_string(rows) + " rows, " + std::to_string(scale) + " ± " + std::to_string(spread);
    switch (pick(4)) {
      case 1:
        loss = std::make_shared<MSELoss<double>>();
        y = Tensor<double>::empty({rows, width_});
        normal_(y, 0, 1, generator_);
        break;
      case 2:
        loss = std::make_shared<CrossEntropyLoss<double>>();
        y = Tensor<double>::empty({rows});
        for (std::size_t i = 0; i < rows; ++i) y.data()[i] = static_cast<double>(pick(width_));
        break;
      case 3:
        loss = std::make_shared<BCEWithLogitsLoss<double>>();
        y = Tensor<double>::empty({rows, width_});
        uniform_(y, 0, 1, generator_);
        break;
      default:
        break;
    }
  }

  GradientReport check() { return loss ? check_gradients(net, *loss, x, y) : check_gradients(net, x); }
  void plant() { add(std::make_shared<Wrong>(pick(2) ? -1 : 1.01)); }

 private:
  std::size_t pick(std::size_t n) { return generator_.random() % n; }
  void add(const std::shared_ptr<Layer<double>>& layer) {
    text += layer->label() + " ";
    net.push_back(layer);
  }
  void add_layer() {
    const std::size_t kind = pick(16);
    if (kind < 4) {
      const std::size_t out = 2 + pick(7);
      add(std::make_shared<Linear<double>>(width_, out, pick(4) != 0));
      width_ = out;
    }
    if (kind == 4) add(std::make_shared<ReLU<double>>());
    if (kind == 5) add(std::make_shared<Tanh<double>>());
    if (kind == 6) add(std::make_shared<Sigmoid<double>>());
    if (kind == 7) add(std::make_shared<GELU<double>>(pick(2) ? "none" : "tanh"));
    if (kind == 8) add(std::make_shared<ELU<double>>());
    if (kind == 9) add(std::make_shared<SiLU<double>>());
    if (kind == 10) add(std::make_shared<Softplus<double>>());
    if (kind == 11) add(std::make_shared<LeakyReLU<double>>(0.1));
    if (kind == 12) add(std::make_shared<BatchNorm1d<double>>(width_));
    if (kind == 13) add(std::make_shared<LayerNorm<double>>(width_));
    if (kind == 14) add(std::make_shared<Dropout<double>>(0.3));
    if (kind == 15 && pick(2)) return add(std::make_shared<Softmax<double>>(-1));
    if (kind == 15) add(std::make_shared<LogSoftmax<double>>(-1));
  }

  Generator generator_;
  std::size_t width_ = 0;
};

void look_at(std::uint64_t seed, std::size_t& passed) {
  Drawn drawn(seed);
  const GradientReport report = drawn.check();
  BOOST_TEST((report.verdict() != Verdict::Fail), seed << ": " << drawn.text << report);
  if (!report.passed()) return;
  ++passed;
  drawn.plant();
  const GradientReport wrong = drawn.check();
  BOOST_TEST((wrong.verdict() == Verdict::Fail), seed << ": " << drawn.text << wrong);
}

}  // namespace

BOOST_AUTO_TEST_CASE(random_networks_at_random_scales) {
  std::size_t passed = 0;
  for (std::uint64_t seed = 0; seed < 120; ++seed) look_at(seed, passed);
  BOOST_TEST(passed > 80u);
  // Saturated or nearly so: the last digits of the loss do not move, which must not count as a fault.
  for (const std::uint64_t seed :
       {144, 153, 187, 209, 315, 360, 378, 410, 418, 432, 450, 451, 561, 677, 758, 1982, 2188, 2708})
    look_at(seed, passed);
}
