// Losses: gradients against differences, errors, and the L2 penalty.
#include <boost/test/unit_test.hpp>
#include <cmath>
#include <limits>

#include "handgrad/base/random.hpp"
#include "handgrad/check/testing.hpp"
#include "handgrad/layers/linear.hpp"
#include "handgrad/losses/bce.hpp"
#include "handgrad/losses/cross_entropy.hpp"
#include "handgrad/losses/kl_div.hpp"
#include "handgrad/losses/l2_penalty.hpp"
#include "handgrad/losses/mse.hpp"
#include "support/check.hpp"
#include "support/factory.hpp"
#include "support/reference.hpp"

using namespace handgrad;
using handgrad::test::check_close;
using handgrad::test::check_throws;
using handgrad::test::make_loss;
using handgrad::test::Reference;

namespace {

constexpr double not_a_number = std::numeric_limits<double>::quiet_NaN();

/// Probabilities at 0 or 1, where differences would leave [0, 1], saturated logits, and L1Loss's kink.
bool extreme(const Reference& reference) {
  const bool probabilities = reference["loss"].text() == "BCELoss";
  for (double v : reference["x"]["data"].numbers())
    if (std::abs(v) > 30 || (probabilities && (v < 1e-3 || v > 1 - 1e-3))) return true;
  const bool kink = reference["loss"].text() == "L1Loss" || reference["loss"].text() == "SmoothL1Loss";
  for (double v : reference["dx"]["data"].numbers())
    if (kink && v == 0) return true;
  return false;
}

bool is_flat(const Reference& reference) {
  for (double v : reference["dx"]["data"].numbers())
    if (v != 0) return false;
  return true;
}

}  // namespace

BOOST_AUTO_TEST_CASE(every_loss_against_differences) {
  std::size_t passed = 0;
  for (const Reference reference : Reference::file("losses")["cases"]) {
    if (extreme(reference)) continue;
    const auto loss = make_loss<double>(reference, Device::cpu());
    const GradientReport report =
        check_gradients(*loss, reference["x"].tensor<double>(), reference["target"].tensor<double>());
    // cross-entropy over one class is 0, and its gradient with it
    BOOST_TEST((report.verdict() == (is_flat(reference) ? Verdict::Inconclusive : Verdict::Pass)), reference.where()
                                                                                                       << "\n"
                                                                                                       << report);
    passed += report.passed();
  }
  BOOST_TEST(passed > 350u);
}

BOOST_AUTO_TEST_CASE(two_shapes_are_refused_and_both_printed) {
  MSELoss<double> mse;
  L1Loss<double> l1;
  BCELoss<double> bce;
  BCEWithLogitsLoss<double> logits;
  HuberLoss<double> huber;
  SmoothL1Loss<double> smooth;
  KLDivLoss<double> divergence;
  const Tensor<double> p = full<double>({5, 1}, 0.5), y = full<double>({5}, 1);
  for (Loss<double>* loss :
       std::initializer_list<Loss<double>*>{&mse, &l1, &bce, &logits, &huber, &smooth, &divergence}) {
    check_throws<ShapeError>([&] { loss->forward(p, y); }, {loss->name().c_str(), "(5, 1)", "(5,)"});
    check_throws<ShapeError>([&] { loss->forward(y, p); }, {loss->name().c_str(), "(5,)", "(5, 1)"});
    check_throws<ShapeError>([&] { loss->forward(zeros<double>({0, 1}), zeros<double>({0, 1})); }, {"empty", "(0, 1)"});
  }
  CrossEntropyLoss<double> cross_entropy;
  NLLLoss<double> nll;
  CategoricalCrossEntropyLoss<double> categorical;
  const Tensor<double> z = full<double>({5, 3}, 0.1);
  for (Loss<double>* loss : std::initializer_list<Loss<double>*>{&cross_entropy, &nll, &categorical}) {
    check_throws<ShapeError>([&] { loss->forward(z, zeros<double>({4})); }, {loss->name().c_str(), "(5, 3)", "(4,)"});
    check_throws<ShapeError>([&] { loss->forward(z, zeros<double>({5, 1})); }, {"(5, 3)", "(5, 1)"});
    check_throws<ShapeError>([&] { loss->forward(z, zeros<double>({3, 5})); }, {"(5, 3)", "(3, 5)"});
    check_throws<ShapeError>([&] { loss->forward(zeros<double>({0, 3}), zeros<double>({0})); }, {"empty"});
  }
}

BOOST_AUTO_TEST_CASE(weights_that_do_not_fit_are_refused) {
  const Tensor<double> z = zeros<double>({5, 3}), y = zeros<double>({5, 3});
  BCEWithLogitsLoss<double> by_column({.pos_weight = Tensor<double>{1, 2}});
  check_throws<ShapeError>([&] { by_column.forward(z, y); }, {"pos_weight", "(2,)", "(5, 3)"});
  BCEWithLogitsLoss<double> by_element({.weight = zeros<double>({3, 5})});
  check_throws<ShapeError>([&] { by_element.forward(z, y); }, {"weight", "(3, 5)", "(5, 3)"});
  CrossEntropyLoss<double> classes({.weight = Tensor<double>{1, 2, 3, 4}});
  check_throws<ShapeError>([&] { classes.forward(z, zeros<double>({5})); }, {"weight", "(4,)", "3"});
}

BOOST_AUTO_TEST_CASE(classes_that_do_not_exist_are_refused) {
  CrossEntropyLoss<double> cross_entropy;
  NLLLoss<double> nll;
  const Tensor<double> z{{0.1, 0.2, 0.3}, {0.3, 0.2, 0.1}};
  for (Loss<double>* loss : std::initializer_list<Loss<double>*>{&cross_entropy, &nll})
    for (const double wrong : {3.0, -1.0, 0.5, 1e30, not_a_number, double(INFINITY)})
      check_throws<ValueError>([&] { loss->forward(z, Tensor<double>{2, wrong}); }, {"target 1", "class from 0 to 2"});
}

BOOST_AUTO_TEST_CASE(targets_and_probabilities_out_of_range_are_refused) {
  BCELoss<double> bce;
  BCEWithLogitsLoss<double> logits;
  const Tensor<double> half{0.5, 0.5};
  for (const double wrong : {-0.1, 1.5, not_a_number}) {
    check_throws<ValueError>([&] { bce.forward(half, Tensor<double>{1, wrong}); }, {"BCELoss", "target 1"});
    check_throws<ValueError>([&] { bce.forward(Tensor<double>{wrong, 1}, half); }, {"BCELoss", "probability 0"});
  }
  check_throws<ValueError>(
      [&] {
        logits.forward(half, Tensor<double>{1, not_a_number});
      },
      {"BCEWithLogitsLoss", "target 1", "NaN"});
}

BOOST_AUTO_TEST_CASE(nan_among_the_targets_never_passes_unseen) {
  // A loss that does not reject the value is NaN, whatever the reduction.
  for (const Reduction reduction : {Reduction::Mean, Reduction::Sum}) {
    MSELoss<double> mse(reduction);
    L1Loss<double> l1(reduction);
    CrossEntropyLoss<double> cross_entropy(reduction);
    const Tensor<double> p{{0.1, 0.9}}, y{{not_a_number, 1}};
    BOOST_TEST(std::isnan(mse.forward(p, y).item()));
    BOOST_TEST(std::isnan(l1.forward(p, y).item()));
    BOOST_TEST(std::isnan(cross_entropy.forward(p, y).item()));
  }
}

BOOST_AUTO_TEST_CASE(calls_out_of_order_are_refused) {
  MSELoss<double> loss;
  check_throws<StateError>([&] { loss.backward(); }, {"MSELoss", "forward"});
  MSELoss<double> each(Reduction::None);
  check_throws<StateError>([&] { each.backward(Tensor<double>{1}); }, {"forward"});
  each.forward(Tensor<double>{1, 2}, Tensor<double>{0, 0});
  check_throws<StateError>([&] { each.backward(); }, {"Reduction::None", "upstream", "(2,)"});
  check_throws<ShapeError>([&] { each.backward(Tensor<double>{1}); }, {"(2,)", "(1,)"});
  BOOST_TEST((each.backward(Tensor<double>{1, 10}) == Tensor<double>{2, 40}));
}

BOOST_AUTO_TEST_CASE(after_a_forward_that_failed_there_is_nothing_to_go_back_through) {
  CrossEntropyLoss<double> loss;
  const Tensor<double> z{{0.1, 0.2, 0.3}};
  loss.forward(z, Tensor<double>{1});
  check_throws<ValueError>([&] { loss.forward(z, Tensor<double>{1e6}); }, {"target 0"});
  check_throws<StateError>([&] { loss.backward(); }, {"CrossEntropyLoss", "forward"});
  loss.forward(z, Tensor<double>{1});
  check_throws<ShapeError>([&] { loss.forward(z, Tensor<double>{1, 2}); }, {"(2,)"});
  check_throws<StateError>([&] { loss.backward(); }, {"forward"});

  Tensor<double> y{1};  // a target that is no class by the time of the backward is no index either
  loss.forward(z, y);
  y.fill(1e6);
  check_throws<ValueError>([&] { loss.backward(); }, {"CrossEntropyLoss", "target 0"});
}

BOOST_AUTO_TEST_CASE(what_a_temporary_computes_outlives_it) {
  const auto& value = MSELoss<double>().forward(Tensor<double>{3}, Tensor<double>{1});
  const Tensor<double> other = full<double>({}, 5);  // would reuse the memory if it were free
  BOOST_TEST(value.item() == 4);
}

BOOST_AUTO_TEST_CASE(rows_that_are_ignored_have_no_part) {
  const Tensor<double> z{{0.1, 0.7, -0.3}, {2, -1, 0.5}, {INFINITY, NAN, 3}};
  CrossEntropyLoss<double> loss({.ignore_index = -1, .label_smoothing = 0.1}), of_two({.label_smoothing = 0.1});
  const double value = loss.forward(z, Tensor<double>{2, 0, -1}).item();
  const Tensor<double> gradient = loss.backward().clone();
  BOOST_TEST(value == of_two.forward(z.rows(0, 2), Tensor<double>{2, 0}).item());  // 2 rows, not 3
  BOOST_TEST((gradient.rows(0, 2) == of_two.backward()));
  BOOST_TEST((gradient.rows(2, 3) == Tensor<double>{{0, 0, 0}}));
  check_throws<ValueError>([&] { loss.forward(z, Tensor<double>{2, 0, -100}); }, {"target 2", "class from 0 to 2"});
  // No row is left: 0/0, as in PyTorch, and no gradient.
  BOOST_TEST(std::isnan(loss.forward(z, Tensor<double>{-1, -1, -1}).item()));
  BOOST_TEST((loss.backward() == zeros<double>({3, 3})));
  NLLLoss<double> sum({.reduction = Reduction::Sum});
  BOOST_TEST(sum.forward(z, Tensor<double>{-100, -100, -100}).item() == 0);
}

BOOST_AUTO_TEST_CASE(options_of_losses_that_cannot_be_meant_are_refused) {
  for (const double wrong : {-0.1, 1.5, not_a_number})
    check_throws<ValueError>([&] { CrossEntropyLoss<double>({.label_smoothing = wrong}); },
                             {"label_smoothing", "[0, 1]"});
  for (const double wrong : {0.0, -1.0, not_a_number})
    check_throws<ValueError>([&] { HuberLoss<double>({.delta = wrong}); }, {"HuberLoss", "delta"});
  for (const double wrong : {-1.0, not_a_number})
    check_throws<ValueError>([&] { SmoothL1Loss<double>({.beta = wrong}); }, {"SmoothL1Loss", "beta"});
}

BOOST_AUTO_TEST_CASE(options_alone_make_a_loss_of_floats) {
  HuberLoss huber({.delta = 2});
  SmoothL1Loss smooth({.beta = 2});
  KLDivLoss divergence({.batchmean = true});
  CrossEntropyLoss smoothed({.label_smoothing = 0.1});
  BOOST_TEST((huber.forward(Tensor<float>{3}, Tensor<float>{0}).item() == 4));
  BOOST_TEST((smooth.forward(Tensor<float>{3}, Tensor<float>{0}).item() == 2));
  BOOST_TEST((divergence.forward(Tensor<float>{{-1, -2}}, Tensor<float>{{0, 1}}).item() == 2));
  BCEWithLogitsLoss logits({.pos_weight = Tensor<float>{2}});
  CrossEntropyLoss cross_entropy({.weight = Tensor<float>{1, 2}});
  NLLLoss nll({.weight = Tensor<float>{1, 2}});
  BOOST_TEST((logits.forward(Tensor<float>{{0}}, Tensor<float>{{1}}).item() == 2 * std::log(2.f)));
  BOOST_TEST((nll.forward(Tensor<float>{{-1, -2}}, Tensor<float>{1}).item() == 2));
}

BOOST_AUTO_TEST_CASE(the_notebooks_clamp_holds_probabilities_and_stops_their_gradient) {
  BCELoss<double> loss({.clamp = 1e-7, .reduction = Reduction::None});
  const Tensor<double> p{0, 1, 0.25, 1e-9}, y{1, 1, 0, 1};
  const double edge = -std::log(1e-7);
  check_close(loss.forward(p, y), Tensor<double>{edge, -std::log(1 - 1e-7), -std::log(0.75), edge}, 1e-12, "clamped");
  check_close(loss.backward(full<double>({4}, 1)), Tensor<double>{0, 0, 1 / 0.75, 0}, 1e-12, "gradient");
  for (const Reduction reduction : {Reduction::Mean, Reduction::Sum, Reduction::None}) {
    BCELoss<double> wide({.clamp = 0.1, .reduction = reduction});
    HANDGRAD_CHECK_GRADIENTS(wide, (Tensor<double>{{0.02, 0.3}, {0.5, 0.8}, {0.95, 0.2}}),
                             (Tensor<double>{{1, 0}, {0.3, 1}, {0, 1}}));
  }
  // In float 1 − 1e-12 is 1, and log(1 − p̂) would be −∞ again.
  for (const double wrong : {-1.0, 0.5, 1e-12, not_a_number})
    check_throws<ValueError>([&] { BCELoss<float>({.clamp = wrong}); }, {"BCELoss", "clamp"});
  BCELoss<float> least({.clamp = 6e-8});
  BOOST_TEST(std::isfinite(least.forward(Tensor<float>{1}, Tensor<float>{0}).item()));
}

BOOST_AUTO_TEST_CASE(a_single_example_is_a_row_without_a_batch) {
  CrossEntropyLoss<double> loss;
  const double single = loss.forward(Tensor<double>{0.1, 0.7, -0.3}, full<double>({}, 1)).item();
  const Tensor<double> gradient = loss.backward().clone();
  BOOST_TEST(single == loss.forward(Tensor<double>{{0.1, 0.7, -0.3}}, Tensor<double>{1}).item());
  BOOST_TEST((gradient == loss.backward().reshape({3})));
}

BOOST_AUTO_TEST_CASE(the_l2_penalty_adds_to_the_gradients_of_the_weights_it_names) {
  Linear<double> layer(Tensor<double>{{1, -2}, {3, 0.5}}, Tensor<double>{10, 20});
  L2Penalty<double> penalty({layer.weight}, 0.1);
  BOOST_TEST(penalty.forward().item() == 0.1 * (1 + 4 + 9 + 0.25), boost::test_tools::tolerance(1e-15));
  penalty.backward();
  check_close(layer.weight.grad(), Tensor<double>{{0.2, -0.4}, {0.6, 0.1}}, 1e-15, "2λw");
  BOOST_TEST(!layer.bias.has_grad());
  layer.forward(Tensor<double>{{1, 1}});
  layer.backward(Tensor<double>{{1, -1}});
  check_close(layer.weight.grad(), Tensor<double>{{1.2, 0.6}, {-0.4, -0.9}}, 1e-15, "added to δᵀx");
  check_throws<ValueError>([&] { L2Penalty<double>({layer.weight}, -1); }, {"lambda", "-1"});
  check_throws<ValueError>([] { L2Penalty<double>({}, 1); }, {"no weights"});
}

BOOST_AUTO_TEST_CASE(a_class_that_is_not_there_may_have_probability_zero) {  // 0·log 0 = 0
  CategoricalCrossEntropyLoss<double> categorical;
  BOOST_TEST(categorical.forward(Tensor<double>{{0, 1}}, Tensor<double>{{0, 1}}).item() == 0);
  BOOST_TEST((categorical.backward() == Tensor<double>{{0, -1}}));
  constexpr double inf = std::numeric_limits<double>::infinity();
  NLLLoss<double> nll;
  BOOST_TEST(nll.forward(Tensor<double>{{-inf, 0}}, Tensor<double>{1}).item() == 0);
}

BOOST_AUTO_TEST_CASE(weights_of_a_loss_follow_the_batch) {
  const Tensor<double> q{2, 3};
  BCEWithLogitsLoss<double> kept({.pos_weight = q});
  for (const std::size_t rows : {3u, 5u, 2u}) {
    const Tensor<double> z = randn<double>({rows, 2}), y = randint<double>(0, 2, {rows, 2});
    BCEWithLogitsLoss<double> fresh({.pos_weight = q});
    BOOST_TEST(kept.forward(z, y).item() == fresh.forward(z, y).item());
    BOOST_TEST((kept.backward() == fresh.backward()));
  }
}
