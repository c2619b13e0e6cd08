// The diagnosis, tested by mutants: each mistake of the catalogue is named in every layer, loss and network where it is
// planted; nothing is named in correct code; two mistakes at once are never taken for a third.
#include <boost/test/unit_test.hpp>
#include <iostream>

#include "check/mutants.hpp"
#include "handgrad/containers/sequential.hpp"
#include "handgrad/layers/linear.hpp"
#include "handgrad/layers/neuron.hpp"
#include "handgrad/layers/softmax.hpp"
#include "handgrad/losses/bce.hpp"
#include "handgrad/losses/cross_entropy.hpp"
#include "handgrad/losses/mse.hpp"

using namespace handgrad;
using namespace handgrad::test;
using LayerPointer = std::shared_ptr<Layer<double>>;
using LossPointer = std::shared_ptr<Loss<double>>;

namespace {

Tensor<double> normal(const Shape& shape, std::uint64_t seed = 7) {
  Generator generator(seed);
  return randn<double>(shape, generator);
}
/// In (0, 1): probabilities or targets.
Tensor<double> probabilities(const Shape& shape, std::uint64_t seed = 8) {
  Generator generator(seed);
  Tensor<double> p = Tensor<double>::empty(shape);
  return uniform_(p, 0.05, 0.95, generator);
}

/// A subject with the requested mistakes, and its check's report.
struct Case {
  std::string name;
  std::function<GradientReport(const Mistakes&)> report;
  std::vector<std::pair<std::string, Cause>> mistakes;
};

LayerPointer phi(const std::string& name) {
  if (name == "σ") return std::make_shared<Sigmoid<double>>();
  if (name == "tanh") return std::make_shared<Tanh<double>>();
  if (name == "ReLU") return std::make_shared<ReLU<double>>();
  if (name == "GELU") return std::make_shared<GELU<double>>();
  if (name == "ELU") return std::make_shared<ELU<double>>();
  return std::make_shared<Softplus<double>>();
}

Case linear(std::size_t in, std::size_t out, const std::string& activation = "") {
  Case c{activation.empty() ? "Linear" : "Linear with " + activation,
         [=](const Mistakes& m) {
           MutantLinear layer(in, out, m, activation.empty() ? nullptr : phi(activation));
           return check_gradients(layer, normal({5, in}));
         },
         {{"averaged", Cause::AveragedTwice},
          {"W averaged", Cause::AveragedTwice},
          {"dx averaged", Cause::AveragedTwice},
          {"b averaged", Cause::BiasAveraged},
          {"row", Cause::BiasNotSummed},
          {"sign", Cause::Sign},
          {"sign of a column", Cause::Sign},
          {"sign of an entry", Cause::Sign},
          {"twice", Cause::Factor},
          {"half", Cause::Factor},
          {"δ ignored", Cause::UpstreamIgnored},
          {"dW transposed", Cause::Transposed},
          {"W overwritten", Cause::Overwritten},
          {"b overwritten", Cause::Overwritten},
          {"W not zeroed", Cause::NotZeroed},
          {"b not zeroed", Cause::NotZeroed},
          {"dx added", Cause::NotZeroed},
          {"dx unwritten", Cause::NotWritten}}};
  if (in == out) c.name += ", square", c.mistakes.push_back({"W transposed", Cause::Transposed});
  if (!activation.empty()) c.mistakes.push_back({"φ′ missing", Cause::DerivativeMissing});
  return c;
}

Case activation(const std::string& name) {
  Case c{name,
         [=](const Mistakes& m) {
           MutantActivation layer(phi(name), m);
           return check_gradients(layer, normal({5, 7}));
         },
         {{"φ′ missing", Cause::DerivativeMissing},
          {"δ ignored", Cause::UpstreamIgnored},
          {"sign", Cause::Sign},
          {"half", Cause::Factor},
          {"averaged", Cause::AveragedTwice}}};
  if (name != "ReLU") {
    c.mistakes.push_back({"φ′ at y", Cause::WrongVariable});
    c.mistakes.push_back({"φ′ twice", Cause::ExtraDerivative});
  }
  if (name == "σ") c.mistakes.push_back({"z(1−z)", Cause::WrongVariable});
  if (name == "tanh") c.mistakes.push_back({"1−z²", Cause::WrongVariable});
  return c;
}

Case dropout() {
  return {"Dropout",
          [](const Mistakes& m) {
            MutantDropout layer(m);
            return check_gradients(layer, normal({5, 7}));
          },
          {{"no mask", Cause::DropoutMask},
           {"no 1/keep", Cause::DropoutMask},
           {"sign", Cause::Sign},
           {"averaged", Cause::AveragedTwice}}};
}

const std::vector<std::pair<std::string, Cause>> of_any_loss{{"not averaged", Cause::NotAveraged},
                                                             {"averaged", Cause::AveragedTwice},
                                                             {"sign", Cause::Sign},
                                                             {"twice", Cause::Factor},
                                                             {"half", Cause::Factor}};

/// Logits or probabilities p (N, C) against targets of the same shape, or p (N, 1) against (N).
Case loss(const std::string& name, std::function<LossPointer()> make, const Tensor<double>& p, const Tensor<double>& y,
          std::vector<std::pair<std::string, Cause>> own) {
  Case c{name,
         [=](const Mistakes& m) {
           MutantLoss mutant(make(), m);
           return check_gradients(mutant, p, y);
         },
         of_any_loss};
  for (const auto& mistake : own) c.mistakes.push_back(mistake);
  if (p.size(1) > 1 && y.numel() == p.numel()) c.mistakes.push_back({"not over columns", Cause::NotAveraged});
  return c;
}

std::vector<Case> losses() {
  const auto mse = [] { return std::make_shared<MSELoss<double>>(); };
  const auto l1 = [] { return std::make_shared<L1Loss<double>>(); };
  const auto bce = [] { return std::make_shared<BCELoss<double>>(); };
  const auto logits = [] { return std::make_shared<BCEWithLogitsLoss<double>>(); };
  const auto ce = [] { return std::make_shared<CrossEntropyLoss<double>>(); };
  const std::vector<std::pair<std::string, Cause>> pairing{{"pairs forward", Cause::Pairing},
                                                           {"pairs backward", Cause::Pairing}};
  const Tensor<double> classes{0, 3, 1, 2, 3};
  return {
      loss("MSE", mse, normal({5, 3}), normal({5, 3}, 9), {}),
      loss("BCE", bce, probabilities({5, 3}), probabilities({5, 3}, 9), {{"p(1−p) on top", Cause::ExtraDerivative}}),
      loss("BCE with logits", logits, normal({5, 3}), probabilities({5, 3}), {{"σ′ on top", Cause::ExtraDerivative}}),
      loss("cross-entropy", ce, normal({5, 4}), classes,
           {{"softmax on top", Cause::ExtraDerivative},
            {"diagonal on top", Cause::ExtraDerivative},
            {"right class alone", Cause::TermMissing}}),
      loss("MSE (N) against (N, 1)", mse, normal({5, 1}), normal({5}, 9), pairing),
      loss("L1 (N) against (N, 1)", l1, normal({5, 1}), normal({5}, 9), pairing),
      loss("BCE (N) against (N, 1)", bce, probabilities({5, 1}), probabilities({5}, 9), pairing),
      loss("BCE with logits (N) against (N, 1)", logits, normal({5, 1}), probabilities({5}), pairing)};
}

/// Linear(3 → 7), φ, Linear(7 → 7), Linear(7 → C) with a loss. A mistake "0: …" is in layer 0, "loss: …" in the loss.
Case network(const std::string& activation, const std::string& loss_name) {
  const auto with = [](const Mistakes& all, const std::string& prefix) {
    Mistakes own;
    for (const std::string& mistake : all)
      if (mistake.rfind(prefix, 0) == 0) own.insert(mistake.substr(prefix.size()));
    return own;
  };
  Case c{"network with " + activation + " and " + loss_name,
         [=](const Mistakes& m) {
           const bool classes = loss_name == "cross-entropy";
           const std::size_t C = classes ? 4 : 1;
           Sequential<double> net;
           const auto first = std::make_shared<MutantLinear>(3, 7, with(m, "0: "));
           net.push_back(first);
           net.push_back(std::make_shared<MutantActivation>(phi(activation), with(m, "1: ")));
           net.push_back(std::make_shared<MutantLinear>(7, 7, with(m, "2: ")));
           net.push_back(std::make_shared<MutantDropout>(with(m, "3: ")));
           net.push_back(std::make_shared<Tanh<double>>());
           net.push_back(std::make_shared<MutantLinear>(7, C, with(m, "5: ")));
           LossPointer right;
           if (classes)
             right = std::make_shared<CrossEntropyLoss<double>>();
           else if (loss_name == "MSE")
             right = std::make_shared<MSELoss<double>>();
           else
             right = std::make_shared<BCEWithLogitsLoss<double>>();
           MutantLoss mutant(right, with(m, "loss: "));
           if (m.count("loss: penalty"))
             mutant.penalty = [first] {
               double sum = 0;
               for (const double w : first->weight.value().to_vector()) sum += w * w;
               return 0.3 * sum;
             };
           const Tensor<double> y = classes ? Tensor<double>{0, 3, 1, 2, 3} : probabilities({5});
           return check_gradients(net, mutant, normal({5, 3}), y);
         },
         {{"loss: not averaged", Cause::NotAveraged},
          {"loss: averaged", Cause::AveragedTwice},
          {"loss: sign", Cause::Sign},
          {"loss: penalty", Cause::WeightDecay},
          {"0: averaged", Cause::AveragedTwice},
          {"0: row", Cause::BiasNotSummed},
          {"5: b averaged", Cause::BiasAveraged},
          {"2: W transposed", Cause::Transposed},
          {"2: half", Cause::Factor},
          {"2: W overwritten", Cause::Overwritten},
          {"0: W not zeroed", Cause::NotZeroed},
          {"1: φ′ missing", Cause::DerivativeMissing},
          {"1: δ ignored", Cause::UpstreamIgnored},
          {"1: sign", Cause::Sign},
          {"3: no mask", Cause::DropoutMask}}};
  if (activation != "ReLU") c.mistakes.push_back({"1: φ′ at y", Cause::WrongVariable});
  if (loss_name == "cross-entropy") c.mistakes.push_back({"loss: softmax on top", Cause::ExtraDerivative});
  if (loss_name == "BCE with logits") c.mistakes.push_back({"loss: σ′ on top", Cause::ExtraDerivative});
  if (loss_name != "cross-entropy") c.mistakes.push_back({"loss: pairs forward", Cause::Pairing});
  return c;
}

std::vector<Case> cases() {
  std::vector<Case> all{linear(3, 7),
                        linear(7, 7),
                        linear(3, 7, "σ"),
                        linear(7, 7, "tanh"),
                        linear(3, 7, "ReLU"),
                        activation("σ"),
                        activation("tanh"),
                        activation("ReLU"),
                        activation("GELU"),
                        activation("ELU"),
                        activation("Softplus"),
                        dropout(),
                        network("tanh", "MSE"),
                        network("ReLU", "cross-entropy"),
                        network("σ", "BCE with logits"),
                        network("GELU", "MSE")};
  for (Case& c : losses()) all.push_back(std::move(c));
  return all;
}

}  // namespace

BOOST_AUTO_TEST_CASE(every_mistake_is_named_wherever_it_is_planted) {
  std::map<Cause, std::set<std::string>> places;
  for (const Case& c : cases()) {
    const GradientReport right = c.report({});
    BOOST_TEST(right.passed(), c.name << " without a mistake: " << right);
    BOOST_TEST(right.diagnose().cause == Cause::None);
    for (const auto& [mistake, cause] : c.mistakes) {
      const GradientReport report = c.report({mistake});
      const Diagnosis diagnosis = report.diagnose();
      BOOST_TEST(diagnosis.cause == cause, c.name << ", " << mistake << ": " << cause << " expected, got "
                                                  << diagnosis.cause << "\n"
                                                  << report);
      places[cause].insert(c.name);
    }
  }
  // Twelve causes of the catalogue, each in at least four places.
  for (const std::set<Cause>& numbered : std::vector<std::set<Cause>>{{Cause::NotAveraged},
                                                                      {Cause::AveragedTwice},
                                                                      {Cause::Sign},
                                                                      {Cause::Factor},
                                                                      {Cause::UpstreamIgnored},
                                                                      {Cause::Transposed},
                                                                      {Cause::BiasNotSummed},
                                                                      {Cause::BiasAveraged},
                                                                      {Cause::DerivativeMissing},
                                                                      {Cause::WrongVariable},
                                                                      {Cause::ExtraDerivative},
                                                                      {Cause::Overwritten},
                                                                      {Cause::NotZeroed},
                                                                      {Cause::Pairing},
                                                                      {Cause::WeightDecay},
                                                                      {Cause::DropoutMask}})
    for (const Cause cause : numbered)
      BOOST_TEST(places[cause].size() >= 4u, cause << " is planted in " << places[cause].size() << " places");
}

BOOST_AUTO_TEST_CASE(two_mistakes_are_never_taken_for_a_third) {
  std::size_t named = 0, inconclusive = 0;
  for (const Case& c : cases())
    for (std::size_t i = 0; i < c.mistakes.size(); ++i)
      for (std::size_t j = i + 1; j < c.mistakes.size(); ++j) {
        const GradientReport report = c.report({c.mistakes[i].first, c.mistakes[j].first});
        if (report.passed()) continue;  // they cancel
        const Cause cause = report.diagnose().cause;
        const bool right =
            cause == Cause::Inconclusive || cause == c.mistakes[i].second || cause == c.mistakes[j].second;
        (cause == Cause::Inconclusive ? inconclusive : named) += 1;
        BOOST_TEST(right, c.name << ", " << c.mistakes[i].first << " and " << c.mistakes[j].first << " taken for "
                                 << cause << "\n"
                                 << report);
      }
  BOOST_TEST_MESSAGE(named << " pairs named, " << inconclusive << " inconclusive");
  BOOST_TEST(named > inconclusive);
}

BOOST_AUTO_TEST_CASE(correct_code_is_never_blamed) {
  Generator generator(11);
  const auto size = [&](std::int64_t top) { return static_cast<std::size_t>(generator.random() % top + 1); };
  const std::vector<std::string> names{"σ", "tanh", "ReLU", "GELU", "ELU", "Softplus"};
  for (int trial = 0; trial < 1000; ++trial) {
    const std::size_t N = size(6), in = size(6), out = size(6);
    const std::uint64_t seed = generator.random();
    const std::string activation = names[generator.random() % names.size()];
    GradientReport report;
    switch (trial % 5) {
      case 0: {
        MutantLinear layer(in, out, {}, trial % 2 ? phi(activation) : nullptr);
        report = check_gradients(layer, normal({N, in}, seed));
        break;
      }
      case 1: {
        Softmax<double> layer;
        report = check_gradients(layer, normal({N, in + 1}, seed));
        break;
      }
      case 2: {
        BCEWithLogitsLoss<double> bce;
        report = check_gradients(bce, normal({N, in}, seed), probabilities({N, in}, seed + 1));
        break;
      }
      case 3: {
        Sequential<double> net;
        net.push_back(std::make_shared<Linear<double>>(in, out));
        net.push_back(phi(activation));
        net.push_back(std::make_shared<Linear<double>>(out, 1));
        MSELoss<double> mse;
        report = check_gradients(net, mse, normal({N, in}, seed), normal({N, 1}, seed + 1));
        break;
      }
      default: {
        Neuron<double> layer(in);
        report = check_gradients(layer, normal({N, in}, seed));
      }
    }
    const Cause cause = report.diagnose().cause;
    const bool innocent = report.verdict() != Verdict::Fail && (cause == Cause::None || cause == Cause::Kink ||
                                                                cause == Cause::ZeroGradient || cause == Cause::TooFew);
    BOOST_TEST(innocent, "trial " << trial << ": " << report << report.diagnose());
  }
}

BOOST_AUTO_TEST_CASE(what_is_no_formulas_fault_is_said_first) {
  const double inf = std::numeric_limits<double>::infinity();
  Sequential<double> net;
  net.push_back(std::make_shared<MutantLinear>(3, 7, Mistakes{"sign"}));
  net.push_back(std::make_shared<Tanh<double>>());
  net.push_back(std::make_shared<MutantLinear>(7, 1, Mistakes{}));
  MSELoss<double> mse;
  Tensor<double> x = normal({5, 3});
  x.data()[4] = inf;
  BOOST_TEST(check_gradients(net, mse, x, normal({5, 1})).diagnose().cause == Cause::NonFinite);

  BCELoss<double> bce;  // log 0: impossible with the loss on logits
  Tensor<double> p = probabilities({5, 3});
  MutantLinear saturated(3, 3, {});
  saturated.weight.value().fill(std::nan(""));
  BOOST_TEST(check_gradients(saturated, normal({5, 3})).diagnose().cause == Cause::NonFinite);

  MutantLinear dead(3, 7, {"δ ignored"}, phi("ReLU"));
  dead.bias.value().fill(-1000);
  const GradientReport report = check_gradients(dead, normal({5, 3}));
  BOOST_TEST(report.verdict() == Verdict::Inconclusive);
  BOOST_TEST(report.diagnose().cause == Cause::ZeroGradient);

  // A kink that the layer does not report: |x| at 0, with the slope of one side.
  struct Absolute : Layer<double> {
    void forward_into(const Tensor<double>& x, Tensor<double>& y) override {
      for (std::size_t i = 0; i < x.numel(); ++i) y.data()[i] = std::abs(x.data()[i]);
    }
    void backward_into(const Tensor<double>& x, const Tensor<double>&, const Tensor<double>& dy,
                       Tensor<double>& dx) override {
      for (std::size_t i = 0; i < x.numel(); ++i) dx.data()[i] = dy.data()[i] * (x.data()[i] >= 0 ? 1 : -1);
    }
  } absolute;
  Tensor<double> at_kink = normal({5, 3});
  at_kink.data()[4] = 0;
  BOOST_TEST(check_gradients(absolute, at_kink).diagnose().cause == Cause::Kink);
}

BOOST_AUTO_TEST_CASE(plain_functions_are_diagnosed_too) {
  // dW and db of a linear layer, as a function returns them; S = Σ (x·Wᵀ + b)∘δ.
  const Tensor<double> x = normal({5, 3}), W = normal({7, 3}, 2), b = normal({7}, 3), dy = normal({5, 7}, 4);
  const auto y = [&](const Tensor<double>& weight, const Tensor<double>& bias) {
    Tensor<double> out = Tensor<double>::empty({5, 7});
    for (std::size_t n = 0; n < 5; ++n)
      for (std::size_t o = 0; o < 7; ++o) {
        double z = bias.item(o);
        for (std::size_t i = 0; i < 3; ++i) z += x.item(n, i) * weight.item(o, i);
        out.data()[n * 7 + o] = z;
      }
    return out;
  };
  const auto weighed = [&](Tensor<double> out) {
    for (std::size_t i = 0; i < out.numel(); ++i) out.data()[i] *= dy.data()[i];
    return out;
  };
  const GradientStep step{x, y(W, b), dy, {}, {{"W", W}, {"b", b}}, 5};
  const auto diagnose = [&](const Tensor<double>& db, const Tensor<double>& dW) {
    return check_gradients("my linear",
                           {{"db", db, b, [&](const Tensor<double>& v) { return weighed(y(W, v)); }, step},
                            {"dW", dW, W, [&](const Tensor<double>& v) { return weighed(y(v, b)); }, step}})
        .diagnose();
  };
  Tensor<double> db = zeros<double>({7}), dW = zeros<double>({7, 3}), dWt = zeros<double>({3, 7});
  for (std::size_t n = 0; n < 5; ++n)
    for (std::size_t o = 0; o < 7; ++o) {
      db.data()[o] += dy.item(n, o);
      for (std::size_t i = 0; i < 3; ++i) dW.data()[o * 3 + i] += dy.item(n, o) * x.item(n, i);
    }
  for (std::size_t o = 0; o < 7; ++o)
    for (std::size_t i = 0; i < 3; ++i) dWt.data()[i * 7 + o] = dW.item(o, i);
  BOOST_TEST(diagnose(db, dW).cause == Cause::None);
  BOOST_TEST(diagnose(dy, dW).cause == Cause::BiasNotSummed);  // (5, 7) instead of (7)
  BOOST_TEST(diagnose(db, dWt).cause == Cause::Transposed);    // (3, 7) instead of (7, 3)
  BOOST_TEST(diagnose(db, dy).cause == Cause::Shape);
  const Diagnosis diagnosis = diagnose(db, dWt);
  BOOST_TEST(diagnosis.tensor == "my linear: dW");
  BOOST_TEST(diagnosis.what == "the dW is transposed");
}
