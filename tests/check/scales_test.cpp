// The gradient check on numbers of every size: far from 0 and near it, widely and narrowly spread, saturated, at the
// edge of a domain. Correct code never fails there, and wrong code still does.
#include <boost/test/unit_test.hpp>
#include <chrono>
#include <cmath>
#include <cstdlib>
#include <ctime>
#include <functional>
#include <memory>

#include "handgrad/handgrad.hpp"
#include "support/check.hpp"

using namespace handgrad;

namespace {

Tensor<double> normal(const Shape& shape, std::uint64_t seed, double mean = 0, double spread = 1) {
  Generator generator(seed);
  Tensor<double> x = Tensor<double>::empty(shape);
  return normal_(x, mean, spread, generator);
}
Tensor<double> uniform(const Shape& shape, std::uint64_t seed, double low, double high) {
  Generator generator(seed);
  Tensor<double> x = Tensor<double>::empty(shape);
  return uniform_(x, low, high, generator);
}

/// y = f(x), elementwise, with dx = factor·f′(x)·δ. A logarithm rejects values outside its domain.
struct Elementwise : Layer<double> {
  std::function<double(double)> f, slope;
  double factor = 1;
  Elementwise(std::function<double(double)> value, std::function<double(double)> derivative, double c = 1)
      : f(std::move(value)), slope(std::move(derivative)), factor(c) {}
  void forward_into(const Tensor<double>& x, Tensor<double>& y) override {
    for (std::size_t i = 0; i < x.numel(); ++i) y.data()[i] = f(x.data()[i]);
  }
  void backward_into(const Tensor<double>& x, const Tensor<double>&, const Tensor<double>& dy,
                     Tensor<double>& dx) override {
    for (std::size_t i = 0; i < x.numel(); ++i) dx.data()[i] = factor * slope(x.data()[i]) * dy.data()[i];
  }
};

/// One of the library's layers with dx, or its parameters' gradients, `factor` times too large.
struct Wrong : Layer<double> {
  std::shared_ptr<Layer<double>> right;
  double factor;
  bool parameters;
  Wrong(std::shared_ptr<Layer<double>> layer, double c, bool of_parameters)
      : right(std::move(layer)), factor(c), parameters(of_parameters) {
    register_child("right", right);
    right->requires_input_grad(true);
  }
  Shape output_shape(const Shape& x) const override { return right->output_shape(x); }
  bool differentiable_input() const override { return right->differentiable_input(); }
  void forward_into(const Tensor<double>& x, Tensor<double>& y) override { y.copy_from(right->forward(x)); }
  void backward_into(const Tensor<double>&, const Tensor<double>&, const Tensor<double>& dy,
                     Tensor<double>& dx) override {
    std::vector<std::vector<double>> before;
    for (auto& [name, p] : right->named_parameters()) {
      before.push_back(p.has_grad() ? p.grad().to_vector() : std::vector<double>(p.numel()));
    }
    const Tensor<double>& d = right->backward(dy);
    for (std::size_t i = 0; d.defined() && i < dx.numel(); ++i) dx.data()[i] = (parameters ? 1 : factor) * d.data()[i];
    if (!parameters) return;
    auto all = right->named_parameters();
    for (std::size_t k = 0; k < all.size(); ++k) {
      Tensor<double> grad = all[k].second.grad();
      for (std::size_t i = 0; i < grad.numel(); ++i)
        grad.data()[i] = before[k][i] + factor * (grad.data()[i] - before[k][i]);
    }
  }
};
struct WrongLoss : Loss<double> {
  std::shared_ptr<Loss<double>> right;
  double factor;
  WrongLoss(std::shared_ptr<Loss<double>> loss, double c)
      : Loss<double>(loss->reduction()), right(std::move(loss)), factor(c) {}
  Shape losses_shape(const Shape& p, const Shape&) const override { return p; }
  void forward_into(const Tensor<double>& p, const Tensor<double>& y, Tensor<double>& value) override {
    value.copy_from(right->forward(p, y));
  }
  void backward_into(const Tensor<double>&, const Tensor<double>&, Tensor<double>& dp) override {
    const Tensor<double>& d = right->backward();
    for (std::size_t i = 0; i < dp.numel(); ++i) dp.data()[i] = factor * d.data()[i];
  }
};

using LayerPtr = std::shared_ptr<Layer<double>>;
struct LayerCase {
  std::string name;
  std::function<LayerPtr()> make;
  Shape shape = {5, 3};
};
template <class L, class... A>
std::function<LayerPtr()> make(A... arguments) {
  return [=] { return std::make_shared<L>(arguments...); };
}
LayerPtr chain(const std::vector<LayerPtr>& layers) {
  const auto net = std::make_shared<Sequential<double>>();
  for (const LayerPtr& layer : layers) net->push_back(layer);
  return net;
}

const std::vector<LayerCase>& layers() {
  const auto linear = [](std::size_t in, std::size_t out) { return std::make_shared<Linear<double>>(in, out); };
  const auto tanh = [] { return std::make_shared<Tanh<double>>(); };
  const Shape signals{2, 3, 7}, images{2, 3, 5, 4}, sequences{2, 3, 4};
  static const std::vector<LayerCase> all{
      {"Linear", make<Linear<double>>(3, 7)},
      {"Neuron", make<Neuron<double>>(3)},
      {"Identity", make<Identity<double>>()},
      {"Threshold", make<Threshold<double>>()},
      {"Sigmoid", make<Sigmoid<double>>()},
      {"Tanh", make<Tanh<double>>()},
      {"ReLU", make<ReLU<double>>()},
      {"LeakyReLU", make<LeakyReLU<double>>(0.1)},
      {"ELU", make<ELU<double>>(1.3)},
      {"GELU", make<GELU<double>>("none")},
      {"GELU tanh", make<GELU<double>>("tanh")},
      {"SiLU", make<SiLU<double>>()},
      {"Softplus", make<Softplus<double>>()},
      {"Hardtanh", make<Hardtanh<double>>(-1.5, 0.7)},
      {"Hardsigmoid", make<Hardsigmoid<double>>()},
      {"Hardswish", make<Hardswish<double>>()},
      {"LogSigmoid", make<LogSigmoid<double>>()},
      {"Softsign", make<Softsign<double>>()},
      {"Mish", make<Mish<double>>()},
      {"PReLU", make<PReLU<double>>()},
      {"PReLU of channels", make<PReLU<double>>(3, -0.3), signals},
      {"Softmax", make<Softmax<double>>(-1)},
      {"Softmax of columns", make<Softmax<double>>(0)},
      {"LogSoftmax", make<LogSoftmax<double>>(-1)},
      {"Dropout", make<Dropout<double>>(0.3)},
      {"Dropout2d", make<Dropout2d<double>>(0.3), images},
      {"BatchNorm1d", make<BatchNorm1d<double>>(3)},
      {"BatchNorm1d of signals", make<BatchNorm1d<double>>(3), signals},
      {"BatchNorm2d", make<BatchNorm2d<double>>(3), images},
      {"LayerNorm", make<LayerNorm<double>>(3)},
      {"LayerNorm of two dimensions", make<LayerNorm<double>>(Shape{3, 7}), signals},
      {"GroupNorm", make<GroupNorm<double>>(2, 4), {2, 4, 3}},
      {"GroupNorm, one group", make<GroupNorm<double>>(1, 3), images},
      {"RMSNorm", make<RMSNorm<double>>(3)},
      {"Conv1d", make<Conv1d<double>>(3, 2, 3, Conv1dOptions{.stride = 2, .padding = 1}), signals},
      {"Conv2d", make<Conv2d<double>>(3, 2, Size2d(3, 2), Conv2dOptions{.padding = 1}), images},
      {"ConvTranspose2d", make<ConvTranspose2d<double>>(3, 2, 2, ConvTranspose2dOptions{.stride = 2}), images},
      {"MaxPool1d", make<MaxPool1d<double>>(3, MaxPool1dOptions{.stride = 2, .padding = 1}), signals},
      {"MaxPool2d", make<MaxPool2d<double>>(2, MaxPool2dOptions{.stride = Size2d(1)}), images},
      {"AvgPool1d", make<AvgPool1d<double>>(3, AvgPool1dOptions{.stride = 2, .padding = 1}), signals},
      {"AvgPool2d", make<AvgPool2d<double>>(2, AvgPool2dOptions{.padding = 1, .count_include_pad = false}), images},
      {"AdaptiveAvgPool2d", make<AdaptiveAvgPool2d<double>>(Size2d(2, 3)), images},
      {"Flatten", make<Flatten<double>>(), images},
      {"Unflatten", make<Unflatten<double>>(1, Shape{3, 1})},
      {"Embedding", make<Embedding<double>>(7, 3), {5, 2}},
      {"RNN", make<RNN<double>>(4, 3, RNNOptions{.batch_first = true}), sequences},
      {"RNN of ReLU", make<RNN<double>>(4, 3, RNNOptions{.num_layers = 2, .nonlinearity = "relu"}), sequences},
      {"LSTM", make<LSTM<double>>(4, 2, RecurrentOptions{.bidirectional = true}), sequences},
      {"GRU", make<GRU<double>>(4, 3, RecurrentOptions{.batch_first = true, .output = Steps::Last}), sequences},
      {"MultiheadAttention", make<MultiheadAttention<double>>(4, 2, MultiheadAttentionOptions{.is_causal = true}),
       sequences},
      {"TransformerEncoderLayer",
       make<TransformerEncoderLayer<double>>(
           4, 2, TransformerEncoderLayerOptions{.dim_feedforward = 5, .dropout = 0.2, .batch_first = true}),
       sequences},
      {"PositionalEncoding",
       make<PositionalEncoding<double>>(4, PositionalEncodingOptions{.dropout = 0.2, .max_len = 5}), sequences},
      {"Residual", [=] { return std::make_shared<Residual<double>>(chain({linear(3, 3), tanh()})); }},
      {"Concat",
       [=] {
         const auto concat = std::make_shared<Concat<double>>();
         for (const LayerPtr& branch : std::vector<LayerPtr>{linear(3, 2), tanh()}) concat->push_back(branch);
         return concat;
       }},
      {"Split",
       [=] {
         return std::make_shared<Split<double>>(std::vector<std::size_t>{2, 1},
                                                std::vector<LayerPtr>{linear(2, 2), tanh()});
       }},
      {"Repeat",
       [] {
         return std::make_shared<Repeat<double>>(Repeat<double>(2, [] {
                                                   return Sequential<double>{Linear<double>(3, 3), Tanh<double>()};
                                                 }).shared());
       }},
      {"Sequential", [=] {
         return chain({std::make_shared<LayerNorm<double>>(3), linear(3, 7), tanh()});
       }}};
  return all;
}

/// The numbers of an embedding are its rows; its input are indices.
Tensor<double> input_of(const LayerCase& c, Layer<double>& layer, double scale, double spread, std::uint64_t seed) {
  auto* embedding = dynamic_cast<Embedding<double>*>(&layer);
  if (!embedding) return normal(c.shape, seed, scale, spread);
  embedding->weight.value().copy_from(normal(embedding->weight.shape(), seed, scale, spread));
  Tensor<double> indices = uniform(c.shape, seed, 0, 7);
  for (std::size_t i = 0; i < indices.numel(); ++i) indices.data()[i] = std::floor(indices.data()[i]);
  return indices;
}

struct LossCase {
  std::string name;
  std::function<std::shared_ptr<Loss<double>>()> make;
  std::function<Tensor<double>(double scale, double spread, std::uint64_t seed)> prediction, target;
};

const std::vector<LossCase>& losses() {
  const auto anything = [](double scale, double spread, std::uint64_t seed) {
    return normal({5, 3}, seed, scale, spread);
  };
  const auto near = [](double scale, double spread, std::uint64_t seed) {
    return normal({5, 3}, seed + 1, scale, spread);
  };
  const auto shares = [](double, double, std::uint64_t seed) { return uniform({5, 3}, seed, 0.1, 0.9); };
  const auto classes = [](double, double, std::uint64_t) { return Tensor<double>{0, 2, 1, 1, 2}; };
  const auto chances = [](double scale, double, std::uint64_t seed) {  // near 0, and near 1
    Tensor<double> p = uniform({5, 3}, seed, 0.1, 0.9);
    const double to = scale < 1 ? scale : 1e-9 * scale;
    for (std::size_t i = 0; i < p.numel(); ++i) p.data()[i] = i % 2 ? to * p.data()[i] : 1 - to * p.data()[i];
    return p;
  };
  const auto positive = [](double scale, double, std::uint64_t seed) {
    return uniform({5, 3}, seed, 0.1 * scale, scale);
  };
  static const std::vector<LossCase> all{
      {"MSE", [] { return std::make_shared<MSELoss<double>>(); }, anything, near},
      {"L1", [] { return std::make_shared<L1Loss<double>>(); }, anything, near},
      {"BCE", [] { return std::make_shared<BCELoss<double>>(); }, chances, shares},
      {"BCE with logits", [] { return std::make_shared<BCEWithLogitsLoss<double>>(); }, anything, shares},
      {"cross-entropy", [] { return std::make_shared<CrossEntropyLoss<double>>(); }, anything, classes},
      {"NLL", [] { return std::make_shared<NLLLoss<double>>(); }, anything, classes},
      {"categorical", [] { return std::make_shared<CategoricalCrossEntropyLoss<double>>(); }, positive, classes},
      {"cross-entropy, smoothed",
       [] {
         return std::make_shared<CrossEntropyLoss<double>>(
             CrossEntropyLossOptions<double>{.reduction = Reduction::Sum, .label_smoothing = 0.1});
       },
       anything, classes},
      {"cross-entropy of shares", [] { return std::make_shared<CrossEntropyLoss<double>>(); }, anything, shares},
      {"cross-entropy, weighted",
       [] {
         return std::make_shared<CrossEntropyLoss<double>>(
             CrossEntropyLossOptions<double>{.weight = Tensor<double>{0.5, 2, 1}, .label_smoothing = 0.3});
       },
       anything, classes},
      {"Huber", [] { return std::make_shared<HuberLoss<double>>(HuberLossOptions{.delta = 0.8}); }, anything, near},
      {"smooth L1", [] { return std::make_shared<SmoothL1Loss<double>>(SmoothL1LossOptions{.beta = 0.3}); }, anything,
       near},
      {"Kullback-Leibler", [] { return std::make_shared<KLDivLoss<double>>(); }, anything, shares},
      {"Kullback-Leibler of logarithms",
       [] { return std::make_shared<KLDivLoss<double>>(KLDivLossOptions{.log_target = true, .batchmean = true}); },
       anything,
       [](double, double, std::uint64_t seed) {
         return normal({5, 3}, seed);
       }},
      {"Huber, one by one", [] { return std::make_shared<HuberLoss<double>>(Reduction::None); }, anything, near},
      {"MSE, one by one", [] { return std::make_shared<MSELoss<double>>(Reduction::None); }, anything, near}};
  return all;
}

/// Calls f for every scale 1e-6 … 1e9 and spread 1e-3 … 1e3, relative to 1 and to the scale; or for one part of them,
/// unless HANDGRAD_TEST_SCALES=all.
void everywhere(const std::function<void(double scale, double spread, std::uint64_t seed)>& f, std::size_t parts = 1,
                std::size_t part = 0) {
  const char* text = std::getenv("HANDGRAD_TEST_SCALES");
  if (text && std::string(text) == "all") parts = 1;
  std::uint64_t seed = 1;
  const auto call = [&](double scale, double spread) {
    ++seed;
    if (seed % parts == part % parts) f(scale, spread, seed);
  };
  for (const double scale : {0.0, 1e-6, 1e-3, 1.0, 300.0, 1e6, 1e9})
    for (const double spread : {1e-3, 1.0, 1e3}) {
      call(scale, spread);
      if (scale > 0) call(scale, spread * scale);
      call(-scale, spread);
    }
}

}  // namespace

BOOST_AUTO_TEST_CASE(values_far_from_zero_that_differ_by_little) {
  BatchNorm1d<double> batch_norm(1);
  const GradientReport of_kelvin = check_gradients(batch_norm, Tensor<double>{{293.1}, {293.4}, {292.9}, {293.2}});
  BOOST_TEST(of_kelvin.passed(), of_kelvin);
  LayerNorm<double> layer_norm(3);
  const GradientReport rows = check_gradients(layer_norm, Tensor<double>{{1000, 1001, 1003}, {999, 1000.5, 1002}});
  BOOST_TEST(rows.passed(), rows);
  manual_seed(1);
  Linear<double> linear(1, 3);
  const GradientReport times =
      check_gradients(linear, Tensor<double>{{1700000000}, {1700000060}, {1700000120}, {1700000190}});
  BOOST_TEST(times.passed(), times);
}

BOOST_AUTO_TEST_CASE(saturated_values) {
  for (const double spread : {5.0, 10.0})
    for (std::uint64_t seed = 1; seed <= 100; ++seed) {
      const Tensor<double> x = normal({5, 3}, seed, 0, spread);
      Softmax<double> softmax;
      Tanh<double> tanh;
      CrossEntropyLoss<double> cross_entropy;
      BCEWithLogitsLoss<double> bce;
      for (const GradientReport& report : {check_gradients(softmax, x), check_gradients(tanh, x),
                                           check_gradients(cross_entropy, x, Tensor<double>{0, 1, 2, 1, 0}),
                                           check_gradients(bce, x, uniform({5, 3}, seed, 0, 1))})
        BOOST_TEST(report.passed(), "seed " << seed << ", " << spread << ": " << report);
    }
}

BOOST_AUTO_TEST_CASE(the_end_of_a_domain) {
  const auto log = [](double c) {
    return Elementwise(
        [](double x) {
          if (x <= 0) throw ValueError("logarithm of " + std::to_string(x));
          return std::log(x);
        },
        [](double x) { return 1 / x; }, c);
  };
  Elementwise logarithm = log(1), wrong = log(1.001);
  Elementwise inverse([](double x) { return 1 / x; }, [](double x) { return -1 / (x * x); });
  Elementwise root([](double x) { return std::sqrt(x); }, [](double x) { return 0.5 / std::sqrt(x); });
  const Tensor<double> x{{1e-6, 2e-6, 3e-6}, {0.5e-6, 1, 7e-6}};
  BOOST_TEST(check_gradients(logarithm, x).passed(), check_gradients(logarithm, x));
  BOOST_TEST(check_gradients(inverse, x).passed(), check_gradients(inverse, x));
  BOOST_TEST(check_gradients(root, x).passed(), check_gradients(root, x));
  BOOST_TEST((check_gradients(wrong, x).verdict() == Verdict::Fail));

  BCELoss<double> bce;
  const GradientReport near_zero = check_gradients(bce, Tensor<double>{1e-6, 1e-6, 0.5}, Tensor<double>{0, 1, 1});
  BOOST_TEST(near_zero.passed(), near_zero);
  const GradientReport at_zero = check_gradients(bce, Tensor<double>{0, 1, 0.5}, Tensor<double>{0, 1, 1});
  BOOST_TEST((at_zero.verdict() != Verdict::Fail), at_zero);

  // At 0, defined only to the right. Layers choose their own derivative there (a clamped logarithm has 0).
  Elementwise half([](double v) { return v < 0 ? std::nan("") : v * v + 3 * v; }, [](double v) { return 2 * v + 3; });
  const GradientReport one_sided = check_gradients(half, Tensor<double>{0, 1, 2});
  BOOST_TEST(one_sided.passed(), one_sided);
  BOOST_TEST(one_sided["input"].one_sided == 1u);
  half.factor = 1.01;
  BOOST_TEST((check_gradients(half, Tensor<double>{0, 1, 2}).verdict() == Verdict::Fail));
  BOOST_TEST((check_gradients(half, Tensor<double>{0, 0, 0}).verdict() == Verdict::Inconclusive));
}

BOOST_AUTO_TEST_CASE(nothing_is_certified_for_being_small) {
  const auto times = [](double c, double sign) {
    return Elementwise([c](double x) { return c * x; }, [c, sign](double) { return sign * c; });
  };
  for (const double c : {1e-16, 1e-100, 1e-9, 1e12}) {
    Elementwise right = times(c, 1), wrong = times(c, -1);
    BOOST_TEST(check_gradients(right, normal({5, 3}, 1)).passed());
    BOOST_TEST((check_gradients(wrong, normal({5, 3}, 1)).verdict() == Verdict::Fail));
  }
  // One column small beside the others, which are right.
  struct Columns : Layer<double> {
    void forward_into(const Tensor<double>& x, Tensor<double>& y) override {
      for (std::size_t i = 0; i < x.numel(); ++i) y.data()[i] = (i % 3 == 1 ? 1e-16 : 1.0) * x.data()[i];
    }
    void backward_into(const Tensor<double>&, const Tensor<double>&, const Tensor<double>& dy,
                       Tensor<double>& dx) override {
      for (std::size_t i = 0; i < dx.numel(); ++i) dx.data()[i] = (i % 3 == 1 ? -1e-16 : 1.0) * dy.data()[i];
    }
  } columns;
  BOOST_TEST((check_gradients(columns, normal({5, 3}, 1)).verdict() == Verdict::Fail));
}

// f(x) = x + part·tanh(x − m) on m ± 1, with a part of a few of m's last digits: differences within the spread are lost
// in them, and wider ones see only the 1 of f′ = 1 + part·(1 − tanh²).
BOOST_AUTO_TEST_CASE(what_saturates_below_the_last_digits_is_not_refuted) {
  for (const double m : {1e9, -1e10, 1e11, -1e12, 1e13, -1e14})
    for (const double digits : {0.5, 1.0, 2.0, 4.0, 8.0, 16.0})
      for (std::uint64_t seed = 1; seed <= 5; ++seed) {
        const double part = digits * (std::nextafter(std::abs(m), 1e300) - std::abs(m));
        Elementwise layer([=](double x) { return x + part * std::tanh(x - m); },
                          [=](double x) { return 1 + part * (1 - std::tanh(x - m) * std::tanh(x - m)); });
        const Tensor<double> x = normal({5, 3}, seed, m, 1);
        const GradientReport report = check_gradients(layer, x);
        BOOST_TEST((report.verdict() != Verdict::Fail), digits << " last digits of " << m << ": " << report);
        layer.factor = 1.01;
        BOOST_TEST(!check_gradients(layer, x).passed(), digits << " last digits of " << m);
      }
}

BOOST_AUTO_TEST_CASE(every_layer_at_every_scale) {
  std::size_t passed = 0, all = 0, found = 0, open = 0;
  for (std::size_t k = 0; k < layers().size(); ++k) {
    const LayerCase& c = layers()[k];
    const std::string& name = c.name;
    std::size_t own = 0;
    const auto look = [&](double scale, double spread, std::uint64_t seed) {
      manual_seed(seed);
      const LayerPtr layer = c.make();
      const Tensor<double> x = input_of(c, *layer, scale, spread, seed);
      const GradientReport report = check_gradients(*layer, x);
      BOOST_TEST((report.verdict() != Verdict::Fail), name << " at " << scale << " ± " << spread << ": " << report);
      passed += report.passed(), own += report.passed(), ++all;
      for (const bool parameters : {false, true}) {
        if (parameters ? layer->named_parameters().empty() : !layer->differentiable_input()) continue;
        // Where saturated units leave no gradient but 0 or the rounding of 1 − y, so that the right layer is
        // inconclusive, c times as much is 0 or rounding again: nothing tells the fault at that x, and it is only not
        // to be certified. Everywhere else it must be found.
        for (const double factor : {-1.0, 1.01}) {
          Wrong wrong(layer, factor, parameters);
          const GradientReport bad = check_gradients(wrong, x);
          const bool right = report.passed() ? bad.verdict() == Verdict::Fail : !bad.passed();
          BOOST_TEST(right, factor << " times " << name << " at " << scale << " ± " << spread << ": " << bad);
          (bad.verdict() == Verdict::Fail ? found : open) += 1;
        }
      }
    };
    everywhere(look, 4, k);
    BOOST_TEST_MESSAGE(name << ": " << own << " passed");
  }
  BOOST_TEST_MESSAGE(passed << " of " << all << " passed, " << found << " faults found, " << open << " left open");
  BOOST_TEST(passed > all * 3 / 4);
}

BOOST_AUTO_TEST_CASE(every_loss_at_every_scale) {
  std::size_t passed = 0, all = 0, found = 0;
  for (const LossCase& c : losses()) {
    std::size_t own = 0;
    everywhere([&](double scale, double spread, std::uint64_t seed) {
      if (scale <= 0 && (c.name == "categorical" || c.name == "BCE")) return;
      const auto loss = c.make();
      const Tensor<double> p = c.prediction(scale, spread, seed), y = c.target(scale, spread, seed);
      const GradientReport report = check_gradients(*loss, p, y);
      BOOST_TEST((report.verdict() != Verdict::Fail), c.name << " at " << scale << " ± " << spread << ": " << report);
      passed += report.passed(), own += report.passed(), ++all;
      if (!report.passed() || loss->reduction() == Reduction::None) return;
      for (const double factor : {-1.0, 1.01}) {
        WrongLoss wrong(loss, factor);
        const GradientReport bad = check_gradients(wrong, p, y);
        BOOST_TEST((bad.verdict() == Verdict::Fail),
                   factor << " times " << c.name << " at " << scale << " ± " << spread << ": " << bad);
        ++found;
      }
    });
    BOOST_TEST_MESSAGE(c.name << ": " << own << " passed");
  }
  BOOST_TEST_MESSAGE(passed << " of " << all << " passed, " << found << " faults");
  BOOST_TEST(passed > all * 3 / 4);
}

BOOST_AUTO_TEST_CASE(networks_at_every_scale) {
  everywhere([](double scale, double spread, std::uint64_t seed) {
    manual_seed(seed);
    Sequential<double> net;
    net.push_back(std::make_shared<Linear<double>>(3, 7));
    net.push_back(std::make_shared<BatchNorm1d<double>>(7));  // makes the preceding bias's gradient pure rounding
    net.push_back(std::make_shared<ReLU<double>>());
    net.push_back(std::make_shared<Linear<double>>(7, 3));
    CrossEntropyLoss<double> cross_entropy;
    MSELoss<double> mse;
    const Tensor<double> x = normal({5, 3}, seed, scale, spread);
    for (const GradientReport& report : {check_gradients(net, cross_entropy, x, Tensor<double>{0, 2, 1, 1, 2}),
                                         check_gradients(net, mse, x, normal({5, 3}, seed + 1))})
      BOOST_TEST((report.verdict() != Verdict::Fail), scale << " ± " << spread << ": " << report);
  });
}

BOOST_AUTO_TEST_CASE(a_large_layer_takes_few_forwards) {
  struct Counting : Linear<double> {
    using Linear<double>::Linear;
    std::size_t forwards = 0;
    double factor = 1;
    void forward_into(const Tensor<double>& x, Tensor<double>& y) override {
      ++forwards;
      Linear<double>::forward_into(x, y);
    }
    void backward_into(const Tensor<double>& x, const Tensor<double>& y, const Tensor<double>& dy,
                       Tensor<double>& dx) override {
      Linear<double>::backward_into(x, y, dy, dx);
      for (std::size_t i = 0; i < dx.numel(); ++i) dx.data()[i] *= factor;
    }
  };
  manual_seed(2);
  Counting layer(1000, 1000);
  const Tensor<double> x = normal({64, 1000}, 3);
  const std::clock_t clock = std::clock();
  const auto begin = std::chrono::steady_clock::now();
  const GradientReport report = check_gradients(layer, x);
  const double seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count(),
               of_processors = static_cast<double>(std::clock() - clock) / CLOCKS_PER_SEC;
  BOOST_TEST(report.passed(), report);
  BOOST_TEST_MESSAGE(layer.forwards << " forwards, " << seconds << " s, " << of_processors << " s of all processors");
  BOOST_TEST(layer.forwards < 80u);
  layer.factor = 1.0001;
  const GradientReport wrong = check_gradients(layer, x.rows(0, 2).clone());
  BOOST_TEST((wrong["input"].verdict == Verdict::Fail));
}
