// What the check finds about users' layers besides their numbers: stale caches, nonlinear backwards, forwards that
// differ, overwritten arguments; and the mistakes that it names in residual layers, embeddings and norms.
#include <boost/test/unit_test.hpp>
#include <cmath>

#include "handgrad/handgrad.hpp"
#include "support/check.hpp"

using namespace handgrad;

namespace {

Tensor<double> normal(const Shape& shape, std::uint64_t seed = 7) {
  Generator generator(seed);
  return randn<double>(shape, generator);
}

/// y = x², whose backward uses the x of the first forward.
struct Stale : Layer<double> {
  Tensor<double> kept;
  void forward_into(const Tensor<double>& x, Tensor<double>& y) override {
    if (!kept.defined()) kept = x.clone();
    y.xt() = x.xt() * x.xt();
  }
  void backward_into(const Tensor<double>& x, const Tensor<double>&, const Tensor<double>& dy,
                     Tensor<double>& dx) override {
    for (std::size_t i = 0; i < x.numel(); ++i) dx.data()[i] = 2 * kept.data()[i] * dy.data()[i];
  }
};

/// y = x·w, element by element, whose backward uses the w of the first forward.
struct StaleWeight : Layer<double> {
  std::vector<double> kept;
  Parameter<double> w = register_parameter("w", Tensor<double>{0.7, -1.2, 0.4});
  void forward_into(const Tensor<double>& x, Tensor<double>& y) override {
    if (kept.empty()) kept = w.value().to_vector();
    for (std::size_t i = 0; i < x.numel(); ++i) y.data()[i] = w.value().data()[i % 3] * x.data()[i];
  }
  void backward_into(const Tensor<double>& x, const Tensor<double>&, const Tensor<double>& dy,
                     Tensor<double>& dx) override {
    Tensor<double> dw = zeros<double>({3});
    for (std::size_t i = 0; i < x.numel(); ++i) {
      dw.data()[i % 3] += x.data()[i] * dy.data()[i];
      dx.data()[i] = kept[i % 3] * dy.data()[i];
    }
    w.accumulate(dw.xt());
  }
};

/// A loss that keeps its first prediction.
struct StalePrediction : Loss<double> {
  Tensor<double> kept;
  void forward_into(const Tensor<double>& p, const Tensor<double>& y, Tensor<double>& value) override {
    if (!kept.defined()) kept = p.clone();
    double sum = 0;
    for (std::size_t i = 0; i < p.numel(); ++i) sum += std::pow(p.data()[i] - y.data()[i], 4);
    value.fill(sum);
  }
  void backward_into(const Tensor<double>& p, const Tensor<double>& y, Tensor<double>& dp) override {
    for (std::size_t i = 0; i < p.numel(); ++i) dp.data()[i] = 4 * std::pow(kept.data()[i] - y.data()[i], 3);
  }
};

/// A bias gradient divided by the number of rows of the first forward.
struct StaleLoss : Loss<double> {
  double rows = 0;
  void forward_into(const Tensor<double>& p, const Tensor<double>& y, Tensor<double>& value) override {
    if (rows == 0) rows = static_cast<double>(p.size(0));
    double sum = 0;
    for (std::size_t i = 0; i < p.numel(); ++i) sum += std::pow(p.data()[i] - y.data()[i], 2);
    value.fill(sum / static_cast<double>(p.size(0)));
  }
  void backward_into(const Tensor<double>& p, const Tensor<double>& y, Tensor<double>& dp) override {
    for (std::size_t i = 0; i < p.numel(); ++i) dp.data()[i] = 2 * (p.data()[i] - y.data()[i]) / rows;
  }
};

/// y = a·x with a backward that alters δ.
struct Bent : Layer<double> {
  std::function<double(double)> bend;
  Parameter<double> a = register_parameter("a", Tensor<double>{0.3});
  explicit Bent(std::function<double(double)> f) : bend(std::move(f)) {}
  void forward_into(const Tensor<double>& x, Tensor<double>& y) override { y.xt() = a.value().item() * x.xt(); }
  void backward_into(const Tensor<double>& x, const Tensor<double>&, const Tensor<double>& dy,
                     Tensor<double>& dx) override {
    double sum = 0;
    for (std::size_t i = 0; i < x.numel(); ++i) {
      sum += dy.data()[i] * x.data()[i];
      dx.data()[i] = bend(a.value().item() * dy.data()[i]);
    }
    a.accumulate(Tensor<double>{sum}.xt());
  }
};

/// Forwards that differ between calls: a dropout that ignores repeats_random(), noise, a changing state.
struct Restless : Layer<double> {
  std::string kind;
  Generator generator{3};
  Tensor<double> factor;
  Buffer<double> running = register_buffer("running", zeros<double>({1}));
  explicit Restless(std::string k) : kind(std::move(k)) {}
  void forward_into(const Tensor<double>& x, Tensor<double>& y) override {
    factor = ones<double>(x.shape());
    double mean = 0;
    for (std::size_t i = 0; i < x.numel(); ++i) mean += x.data()[i] / static_cast<double>(x.numel());
    running.value().data()[0] += 0.1 * (mean - running.value().item());
    for (std::size_t i = 0; i < x.numel(); ++i) {
      if (kind == "dropout") factor.data()[i] = generator.random() % 2 ? 2 : 0;
      if (kind == "noise") factor.data()[i] = 1 + 1e-3 * generator.normal();
      y.data()[i] = factor.data()[i] * x.data()[i] - (kind == "running mean" ? running.value().item() : 0);
    }
  }
  void backward_into(const Tensor<double>&, const Tensor<double>&, const Tensor<double>& dy,
                     Tensor<double>& dx) override {
    for (std::size_t i = 0; i < dx.numel(); ++i) dx.data()[i] = factor.data()[i] * dy.data()[i];
  }
};

/// y = E[x], rows of a table selected by indices.
struct UsersEmbedding : Layer<double> {
  bool overwrites;
  Parameter<double> weight = register_parameter("weight", normal({7, 3}, 2));
  explicit UsersEmbedding(bool wrong) : overwrites(wrong) { requires_input_grad(false); }
  Shape output_shape(const Shape& x) const override { return {x[0], 3}; }
  void forward_into(const Tensor<double>& x, Tensor<double>& y) override {
    for (std::size_t t = 0; t < x.numel(); ++t)
      for (std::size_t j = 0; j < 3; ++j)
        y.data()[t * 3 + j] = weight.value().data()[static_cast<std::size_t>(x.data()[t]) * 3 + j];
  }
  void backward_into(const Tensor<double>& x, const Tensor<double>&, const Tensor<double>& dy,
                     Tensor<double>&) override {
    Tensor<double> dE = zeros<double>({7, 3});
    for (std::size_t t = 0; t < x.numel(); ++t)
      for (std::size_t j = 0; j < 3; ++j) {
        double& d = dE.data()[static_cast<std::size_t>(x.data()[t]) * 3 + j];
        d = dy.data()[t * 3 + j] + (overwrites ? 0 : d);
      }
    weight.accumulate(dE.xt());
  }
};

/// y = tanh(x·Wᵀ) + x.
struct UsersResidual : Layer<double> {
  bool forgets;
  Sequential<double> branch;
  explicit UsersResidual(bool wrong) : forgets(wrong) {
    branch.push_back(std::make_shared<Linear<double>>(3, 3));
    branch.push_back(std::make_shared<Tanh<double>>());
    branch.requires_input_grad(true);
  }
  void forward_into(const Tensor<double>& x, Tensor<double>& y) override { y.xt() = branch.forward(x).xt() + x.xt(); }
  void backward_into(const Tensor<double>&, const Tensor<double>&, const Tensor<double>& dy,
                     Tensor<double>& dx) override {
    const Tensor<double>& through = branch.backward(dy);
    for (std::size_t i = 0; i < dx.numel(); ++i) dx.data()[i] = through.data()[i] + (forgets ? 0 : dy.data()[i]);
  }
};

/// y = γ∘x·r, r = (mean x² + ε)^−½ of each row; or, centred, a layer norm.
struct UsersNorm : Layer<double> {
  bool centred;
  std::string mistake;
  Parameter<double> gamma = register_parameter("gamma", normal({3}, 5));
  UsersNorm(bool c, std::string m) : centred(c), mistake(std::move(m)) {}
  void statistics(const Tensor<double>& x, std::size_t n, double& mean, double& r) const {
    mean = 0;
    for (std::size_t j = 0; centred && j < 3; ++j) mean += x.item(n, j) / 3;
    double square = 0;
    for (std::size_t j = 0; j < 3; ++j) square += std::pow(x.item(n, j) - mean, 2) / 3;
    r = 1 / std::sqrt(square + 1e-5);
  }
  void forward_into(const Tensor<double>& x, Tensor<double>& y) override {
    for (std::size_t n = 0; n < x.size(0); ++n) {
      double mean = 0, r = 0;
      statistics(x, n, mean, r);
      for (std::size_t j = 0; j < 3; ++j) y.data()[n * 3 + j] = gamma.value().data()[j] * (x.item(n, j) - mean) * r;
    }
  }
  void backward_into(const Tensor<double>& x, const Tensor<double>&, const Tensor<double>& dy,
                     Tensor<double>& dx) override {
    const std::size_t N = x.size(0);
    Tensor<double> dgamma = zeros<double>({3});
    double over_batch = 0;
    for (const bool second : {false, true})
      for (std::size_t n = 0; n < N; ++n) {
        double mean = 0, r = 0, of_g = 0, of_product = 0;
        statistics(x, n, mean, r);
        for (std::size_t j = 0; j < 3; ++j) {
          const double g = gamma.value().data()[j] * dy.item(n, j), x_hat = (x.item(n, j) - mean) * r;
          if (centred) of_g += g / 3;
          of_product += g * x_hat / 3;
          if (!second) dgamma.data()[j] += dy.item(n, j) * x_hat;
        }
        if (!second) over_batch += of_product / static_cast<double>(N);
        if (mistake == "mean over the batch, too") of_product = over_batch;
        if (mistake == "term missing") of_product = 0;
        for (std::size_t j = 0; j < 3; ++j)
          dx.data()[n * 3 + j] =
              r * (gamma.value().data()[j] * dy.item(n, j) - of_g - (x.item(n, j) - mean) * r * of_product);
      }
    gamma.accumulate(dgamma.xt());
  }
};

/// y = 2x; writes into its arguments.
struct Careless : Layer<double> {
  std::string into;
  explicit Careless(std::string where) : into(std::move(where)) {}
  void forward_into(const Tensor<double>& x, Tensor<double>& y) override { y.xt() = 2 * x.xt(); }
  void backward_into(const Tensor<double>&, const Tensor<double>& y, const Tensor<double>& dy,
                     Tensor<double>& dx) override {
    Tensor<double> target = into == "δ" ? dy : y;
    const std::vector<double> delta = dy.to_vector();
    for (std::size_t i = 0; i < dx.numel(); ++i) {
      target.data()[i] = 0;  // used as scratch
      dx.data()[i] = 2 * (into == "δ" ? delta[i] : dy.data()[i]);
    }
  }
};

}  // namespace

BOOST_AUTO_TEST_CASE(a_cache_of_the_first_forward_shows) {
  for (const Shape& shape : {Shape{5, 3}, Shape{3}, Shape{1, 3}}) {
    Stale stale;
    const GradientReport report = check_gradients(stale, normal(shape));
    BOOST_TEST((report.verdict() == Verdict::Fail), shape.str());
    BOOST_TEST(report.diagnose().cause == Cause::StaleCache, shape.str() << report.diagnose());
  }
  StaleLoss loss;
  const GradientReport of_loss = check_gradients(loss, normal({5, 3}), normal({5, 3}, 8));
  BOOST_TEST((of_loss.verdict() == Verdict::Fail));
  BOOST_TEST(of_loss.diagnose().cause == Cause::StaleCache, of_loss.diagnose());
  StaleLoss again;
  Linear<double> linear(3, 3);
  BOOST_TEST((check_gradients(linear, again, normal({5, 3}), normal({5, 3}, 8)).verdict() == Verdict::Fail));
}

BOOST_AUTO_TEST_CASE(a_cache_of_the_first_forward_is_named_within_a_network) {
  using LayerPtr = std::shared_ptr<Layer<double>>;
  const Tensor<double> x = normal({5, 3}), y = normal({5, 3}, 8);
  const auto chain = [](std::vector<LayerPtr> layers) {
    auto net = std::make_shared<Sequential<double>>();
    for (LayerPtr& layer : layers) net->push_back(layer);
    return net;
  };
  const auto linear = [] { return std::make_shared<Linear<double>>(3, 3); };
  manual_seed(5);
  const std::vector<std::pair<std::string, std::function<LayerPtr(LayerPtr)>>> networks{
      {"layer 1, Stale",
       [&](LayerPtr stale) {
         return chain({linear(), stale});
       }},
      {"layer 0, Stale",
       [&](LayerPtr stale) {
         return chain({stale, linear()});
       }},
      {"layer 1, 1, Stale",
       [&](LayerPtr stale) {
         return chain(
             {linear(), chain({std::make_shared<BatchNorm1d<double>>(3), stale, std::make_shared<Tanh<double>>()})});
       }},
      {"layer 1, Residual", [&](LayerPtr stale) {
         return chain({linear(), std::make_shared<Residual<double>>(stale)});
       }}};
  // There is one first forward only, so that each check has a layer of its own.
  MSELoss<double> mse;
  for (const auto& [place, network] : networks)
    for (const bool with_loss : {false, true})
      for (const bool of_weight : {false, true}) {
        LayerPtr stale = std::make_shared<Stale>();
        if (of_weight) stale = std::make_shared<StaleWeight>();
        const LayerPtr net = network(stale);
        const GradientReport report = with_loss ? check_gradients(*net, mse, x, y) : check_gradients(*net, x);
        BOOST_TEST((report.verdict() == Verdict::Fail), report);
        BOOST_TEST(report.diagnose().cause == Cause::StaleCache, report << report.diagnose());
        BOOST_TEST(report.diagnose().tensor.find(place) == 0u, report.diagnose());
      }
  StaleWeight alone;
  const GradientReport report = check_gradients(alone, x);
  BOOST_TEST(report.diagnose().cause == Cause::StaleCache, report << report.diagnose());
  BOOST_TEST(alone.w.value().to_vector() == (std::vector<double>{0.7, -1.2, 0.4}), boost::test_tools::per_element());
  StalePrediction loss;
  Linear<double> net(3, 3);
  const GradientReport of_loss = check_gradients(net, loss, x, y);
  BOOST_TEST(of_loss.diagnose().cause == Cause::StaleCache, of_loss << of_loss.diagnose());
}

BOOST_AUTO_TEST_CASE(a_backward_is_linear) {
  const std::vector<std::function<double(double)>> bends{[](double d) { return std::clamp(d, -5.0, 5.0); },
                                                         [](double d) { return std::clamp(d, -0.1, 0.1); },
                                                         [](double d) { return std::abs(d); }};
  for (const auto& bend : bends) {
    Bent bent(bend);
    const GradientReport report = check_gradients(bent, normal({5, 3}));
    BOOST_TEST((report["input"].verdict == Verdict::Fail), report);
    BOOST_TEST((report["a"].verdict == Verdict::Pass), report);
    BOOST_TEST(report.diagnose().cause == Cause::NotLinear, report.diagnose());
  }
  Bent straight([](double d) { return d; });
  BOOST_TEST(check_gradients(straight, normal({5, 3})).passed());
  // In a network too, where δ comes from the loss.
  Sequential<double> net;
  net.push_back(std::make_shared<Linear<double>>(3, 3));
  net.push_back(std::make_shared<Bent>(bends[0]));
  MSELoss<double> mse;
  const GradientReport report = check_gradients(net, mse, normal({5, 3}), normal({5, 3}, 8));
  BOOST_TEST((report.verdict() == Verdict::Fail));
  BOOST_TEST(report.diagnose().cause == Cause::NotLinear, report.diagnose());
}

BOOST_AUTO_TEST_CASE(forwards_that_differ_are_said_first) {
  for (const char* kind : {"dropout", "noise", "running mean"}) {
    Restless restless(kind);
    const GradientReport report = check_gradients(restless, normal({5, 3}));
    BOOST_TEST((report.verdict() == Verdict::Inconclusive), kind << report);
    BOOST_TEST(report.diagnose().cause == Cause::NotRepeatable, kind << report.diagnose());
    BOOST_TEST(report.diagnose().what == "two forwards of the same x differ");
    Sequential<double> net;
    net.push_back(std::make_shared<Linear<double>>(3, 3));
    net.push_back(std::make_shared<Restless>(kind));
    MSELoss<double> mse;
    const GradientReport of_net = check_gradients(net, mse, normal({5, 3}), normal({5, 3}, 8));
    BOOST_TEST((of_net.verdict() == Verdict::Inconclusive), kind << of_net);
    BOOST_TEST(of_net.diagnose().what == "two forwards of the same x differ");
    BOOST_TEST(of_net.diagnose().tensor.find("layer 1, Restless") != std::string::npos, of_net.diagnose());
  }
  Restless quiet("");
  BOOST_TEST(check_gradients(quiet, normal({5, 3})).passed());
  Dropout<double> dropout(0.4);
  BOOST_TEST(check_gradients(dropout, normal({5, 3})).passed());
}

BOOST_AUTO_TEST_CASE(arguments_are_only_read) {
  for (const char* where : {"δ", "y"}) {
    Careless careless(where);
    const GradientReport report = check_gradients(careless, normal({5, 3}));
    BOOST_TEST((report.verdict() == Verdict::Fail), where << report);
    BOOST_TEST(report.diagnose().cause == Cause::ArgumentChanged, where << report.diagnose());
  }
}

BOOST_AUTO_TEST_CASE(indices_have_no_gradient) {
  const Tensor<double> indices{0, 3, 1, 3, 6, 3, 0};
  UsersEmbedding right(false), wrong(true);
  const GradientReport report = check_gradients(right, indices);
  BOOST_TEST(report.passed(), report);
  BOOST_TEST(report.tensors.size() == 1u);
  BOOST_TEST(report.note.find("no gradient") != std::string::npos);
  Sequential<double> behind{Identity<double>(), Embedding<double>(7, 3), Linear<double>(3, 2)};
  const GradientReport of_chain = check_gradients(behind, indices);
  BOOST_TEST(of_chain.passed(), of_chain);
  const GradientReport bad = check_gradients(wrong, indices);
  BOOST_TEST((bad.verdict() == Verdict::Fail));
  BOOST_TEST(bad.diagnose().cause == Cause::RowsOverwritten, bad.diagnose());
}

BOOST_AUTO_TEST_CASE(a_forgotten_skip_connection_is_named) {
  manual_seed(4);
  UsersResidual right(false), wrong(true);
  BOOST_TEST(check_gradients(right, normal({5, 3})).passed());
  const GradientReport report = check_gradients(wrong, normal({5, 3}));
  BOOST_TEST((report.verdict() == Verdict::Fail));
  BOOST_TEST(report.diagnose().cause == Cause::BranchMissing, report.diagnose());
}

BOOST_AUTO_TEST_CASE(a_norms_wrong_means_are_named) {
  for (const bool centred : {false, true}) {
    UsersNorm right(centred, ""), axis(centred, "mean over the batch, too"), term(centred, "term missing");
    const Tensor<double> x = normal({5, 3});
    BOOST_TEST(check_gradients(right, x).passed(), check_gradients(right, x));
    BOOST_TEST(check_gradients(axis, x).diagnose().cause == Cause::WrongAxis, check_gradients(axis, x));
    BOOST_TEST(check_gradients(term, x).diagnose().cause == Cause::TermMissing, check_gradients(term, x));
  }
}
