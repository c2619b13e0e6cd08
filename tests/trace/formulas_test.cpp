// The derivations written down by each layer, loss and optimizer against the numbers they compute.
#include <limits>

#include "handgrad/base/xtensor.hpp"
#include "handgrad/optim/adadelta.hpp"
#include "handgrad/optim/adagrad.hpp"
#include "handgrad/optim/adam.hpp"
#include "handgrad/optim/lion.hpp"
#include "handgrad/optim/muon.hpp"
#include "handgrad/optim/nadam.hpp"
#include "handgrad/optim/rmsprop.hpp"
#include "handgrad/optim/sgd.hpp"
#include "handgrad/trace/recorder.hpp"
#include "support/check.hpp"
#include "support/factory.hpp"
#include "support/formulas.hpp"
#include "support/reference.hpp"
#include "support/typed.hpp"

using namespace handgrad;
using handgrad::test::check_formulas;
using handgrad::test::check_throws;
using handgrad::test::layer_cases;
using handgrad::test::make_layer;
using handgrad::test::make_loss;
using handgrad::test::Reference;
using trace::Array;
using trace::Expression;

BOOST_AUTO_TEST_CASE(expressions_evaluate_and_print) {
  const Array x{{2, 3}, {1, 2, 3, 4, 5, 6}}, W{{1, 3}, {-1, 0.5, 2}}, b{{1}, {0.25}};
  const trace::Symbols symbols{{"x", &x}, {"W", &W}, {"b", &b}};
  const auto e = Expression::parse("sum(i: x[n,i]·W[o,i]) + b[o]");
  const trace::Place place{1, {{"n", 1}, {"o", 0}}};
  BOOST_TEST(trace::text(e) == "Σᵢ xₙᵢ·Wₒᵢ + bₒ");
  BOOST_TEST(trace::latex(e) == "\\sum_{i} x_{n,i} \\cdot W_{o,i} + b_{o}");
  BOOST_TEST(trace::evaluate(e, symbols, place) == 10.75);
  BOOST_TEST(trace::text(trace::substitute(e, symbols, place)) == "4·(−1) + 5·0.5 + 6·2 + 0.25");
  BOOST_TEST(trace::text(trace::substitute(e, symbols, place, 1)) == "4·(−1) + (2 more: 14.5) + 0.25");
  BOOST_TEST(trace::text(trace::substitute(Expression::parse("max(i: x[n,i])"), symbols, place)) == "max(4, 5, 6)");
  const auto read = trace::reads(e, symbols, place);
  BOOST_TEST((read.at("x") == std::set<std::size_t>{3, 4, 5}));
  BOOST_TEST((read.at("b") == std::set<std::size_t>{0}));
}

BOOST_AUTO_TEST_CASE(what_is_printed_reads_back_as_the_same_number) {
  for (const char* text : {"2 − (3 − 4)",
                           "2 − 3 − 4",
                           "2/(3·4)",
                           "2/3·4",
                           "−2²",
                           "(−2)²",
                           "2^(−1)",
                           "2^3^2",
                           "−(2 + 3)·4",
                           "2·(−3)",
                           "−(−3)",
                           "1e−5 + 2.5e8",
                           "exp(−abs(−2))/(1 + exp(2))",
                           "[2 > 1] + [2 ≤ 1]",
                           "if(1 > 2, 3, −4)·5",
                           "max(1, −2, 3) − min(4, 5)",
                           "(3 more: −1.5)·2",
                           "σ(−3) + erf(0.5) − log1p(0.5)",
                           "∞",
                           "2 + NaN"}) {
    const auto e = Expression::parse(text);
    const double once = trace::evaluate(e, {}, {}), again = trace::evaluate(Expression::parse(trace::text(e)), {}, {});
    BOOST_TEST(test::distance(again, once) == 0, text << " printed as " << trace::text(e));
  }
  BOOST_TEST(trace::evaluate(Expression::parse("−2²"), {}, {}) == -4);
  BOOST_TEST(trace::evaluate(Expression::parse("2 − 3 − 4"), {}, {}) == -5);
  BOOST_TEST(trace::evaluate(Expression::parse("2/3·4"), {}, {}) == 2 / 3. * 4);
}

BOOST_AUTO_TEST_CASE(a_formula_that_makes_no_sense_is_refused) {
  check_throws<ParseError>([] { Expression::parse("2 +"); }, {"2 +", "byte 3"});
  check_throws<ParseError>([] { Expression::parse("x[n"); }, {"']' expected"});
  check_throws<ParseError>([] { trace::Equation("y: x"); }, {"a target and ' = ' expected"});
  check_throws<ValueError>([] { trace::evaluate(Expression::parse("sinh(1)"), {}, {}); }, {"sinh"});
  check_throws<ShapeError>([] { trace::evaluate(Expression::parse("x[n]"), {}, {}); }, {"symbol x"});
  const Array x{{2}, {1, 2}}, w{{3}, {1, 2, 3}};
  check_throws<ShapeError>(
      [&] {
        trace::evaluate(Expression::parse("sum(i: x[i]·w[i])"), {{"x", &x}, {"w", &w}}, {});
      },
      {"index i", "2", "3"});
}

using Numbers = boost::mp11::mp_list<float, double>;

BOOST_AUTO_TEST_CASE_TEMPLATE(layers_compute_what_their_derivations_say, T, Numbers) {
  std::size_t checked = 0, described = 0, silent = 0;
  for (const Reference& reference : layer_cases()) {
    const auto layer = make_layer<T>(reference, Device::cpu());
    if (!layer) continue;
    for (const Reference step : reference["steps"]) {
      layer->train(step.flag("train", reference["args"].flag("train", true)));
      BOOST_TEST_CONTEXT(reference["layer"].text() << " " << reference["args"].where() << " " << step.where()) {
        layer->zero_grad();
        trace::Recorder recorder;
        layer->forward(step["x"].tensor<T>());
        layer->backward(step["dy"].tensor<T>());
        layer->backward(step["dy"].tensor<T>());  // accumulates
        const auto recorded = recorder.stop();
        checked += check_formulas(recorded);
        BOOST_TEST(recorded.assignments.size() >= 2u);
        (recorded.assignments[0].element ? described : silent) += 1;
      }
    }
  }
  BOOST_TEST(checked > 1000u);
  BOOST_TEST(described > 230u);  // convolutions have only symbols
}

BOOST_AUTO_TEST_CASE_TEMPLATE(losses_compute_what_their_derivations_say, T, Numbers) {
  std::size_t checked = 0;
  for (const Reference reference : Reference::file("losses")["cases"]) {
    const auto loss = make_loss<T>(reference, Device::cpu());
    const bool none = loss->reduction() == Reduction::None;
    BOOST_TEST_CONTEXT(reference.where()) {
      trace::Recorder recorder;
      loss->forward(reference["x"].tensor<T>(), reference["target"].tensor<T>());
      none ? loss->backward(reference["dy"].tensor<T>()) : loss->backward();
      if (!none) loss->backward(full<T>({}, T(-2)));
      const auto recorded = recorder.stop();
      for (const auto& assignment : recorded.assignments) BOOST_TEST(assignment.element.has_value());
      checked += check_formulas(recorded);
    }
  }
  BOOST_TEST(checked > 1000u);
}

template <class T>
std::vector<std::unique_ptr<Optimizer<T>>> optimizers(const std::vector<Parameter<T>>& w) {
  std::vector<std::unique_ptr<Optimizer<T>>> all;
  for (const SGDOptions options : {SGDOptions{.lr = 0.1},
                                   {.lr = 0.1, .weight_decay = 0.01},
                                   {.lr = 0.1, .momentum = 0.9},
                                   {.lr = 0.1, .momentum = 0.9, .weight_decay = 0.01, .nesterov = true}})
    all.push_back(std::make_unique<SGD<T>>(w, options));
  for (const double decay : {0.0, 0.01}) {
    all.push_back(std::make_unique<Adam<T>>(w, AdamOptions{.lr = 0.1, .weight_decay = decay}));
    all.push_back(std::make_unique<AdamW<T>>(w, AdamWOptions{.lr = 0.1, .weight_decay = decay}));
    all.push_back(std::make_unique<RMSprop<T>>(w, RMSpropOptions{.lr = 0.1, .weight_decay = decay}));
    all.push_back(std::make_unique<RMSprop<T>>(w, RMSpropOptions{.lr = 0.1, .momentum = 0.9, .centered = true}));
  }
  for (const double decay : {0.0, 0.01}) {
    all.push_back(std::make_unique<Adagrad<T>>(w, AdagradOptions{.lr_decay = 0.1, .weight_decay = decay}));
    all.push_back(std::make_unique<Adadelta<T>>(w, AdadeltaOptions{.weight_decay = decay}));
    all.push_back(std::make_unique<NAdam<T>>(w, NAdamOptions{.lr = 0.1, .weight_decay = decay}));
    all.push_back(std::make_unique<Lion<T>>(w, LionOptions{.lr = 0.1, .weight_decay = decay}));
  }
  return all;
}

BOOST_AUTO_TEST_CASE_TEMPLATE(muon_computes_what_its_derivation_says, T, Numbers) {
  Parameter<T> wide(Tensor<T>{{1, -2, 0.5}, {3, 0.5, 1}}), tall(Tensor<T>{{1, 2}, {-1, 0.25}, {2, 2}});
  Muon<T> muon({wide, tall}, {.lr = 0.1, .ns_steps = 2});
  for (int step = 0; step < 3; ++step) {
    muon.zero_grad();
    wide.accumulate(xt::cos(wide.xt() + T(step)));
    tall.accumulate(xt::cos(tall.xt() + T(step)));
    trace::Recorder recorder;
    muon.step();
    BOOST_TEST(check_formulas(recorder.stop()) >= 50u);
  }
}

BOOST_AUTO_TEST_CASE_TEMPLATE(optimizers_compute_what_their_derivations_say, T, Numbers) {
  const std::vector<Parameter<T>> parameters{Tensor<T>{{1, -2}, {3, 0.5}}, Tensor<T>{0.25}};
  for (const auto& optimizer : optimizers(parameters)) {
    BOOST_TEST_CONTEXT(optimizer->name()) {
      for (int step = 0; step < 3; ++step) {
        optimizer->zero_grad();
        for (Parameter<T> w : parameters) w.accumulate(xt::cos(w.xt() + T(step)));
        trace::Recorder recorder;
        optimizer->step();
        const auto recorded = recorder.stop();
        BOOST_TEST(check_formulas(recorded) >= 5u);
        BOOST_TEST(recorded.assignments.back().by_library);
        BOOST_TEST(recorded.result(recorded.assignments.size() - 1).numbers[0] == double(parameters[1].value().item()));
      }
    }
  }
}

BOOST_AUTO_TEST_CASE(a_derivation_that_does_not_say_what_is_computed_is_caught) {
  struct Lying : Layer<double> {
    void forward_into(const Tensor<double>& x, Tensor<double>& y) override { y.xt() = x.xt() * x.xt(); }
    void backward_into(const Tensor<double>& x, const Tensor<double>&, const Tensor<double>& dy,
                       Tensor<double>& dx) override {
      dx.xt() = 2 * x.xt() * dy.xt();
    }
    trace::Derivation derivation(const Shape&) const override { return {{"y = x²"}, {"dx = x·δ"}}; }
  };
  Lying layer;
  trace::Recorder recorder;
  layer.forward({1, 2});
  layer.backward({1, 1});
  std::size_t checked = 0;
  const auto lies = test::formulas_that_lie(recorder.stop(), checked);
  BOOST_TEST(checked == 4u);
  BOOST_TEST(lies.size() == 2u);
  BOOST_TEST(lies[0] == "Lying(): dx = x·δ, element 0: 1·1 is not 2.000000");
}
