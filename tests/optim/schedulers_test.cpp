// Learning-rate schedules against PyTorch's.
#include "handgrad/optim/schedulers.hpp"

#include <cmath>
#include <limits>

#include "handgrad/optim/adagrad.hpp"
#include "handgrad/optim/adam.hpp"
#include "handgrad/optim/sgd.hpp"
#include "support/check.hpp"
#include "support/reference.hpp"

using namespace handgrad;
using handgrad::test::check_close;
using handgrad::test::check_throws;
using handgrad::test::Reference;

namespace {

SGD<double> optimizer_with(const std::vector<double>& rates) {
  std::vector<ParameterGroup<double, SGDOptions>> groups;
  for (const double lr : rates) groups.push_back({{Tensor<double>{1}}, {.lr = lr}});
  return SGD<double>(groups);
}

std::shared_ptr<Scheduler> make_scheduler(const Reference& description, LearningRates& rates) {
  const std::string name = description["scheduler"].text();
  const Reference o = description["options"];
  const auto integer = [&](const char* key, double otherwise) { return std::int64_t(o.number(key, otherwise)); };
  if (name == "StepLR") return std::make_shared<StepLR>(rates, integer("step_size", 0), o.number("gamma", 0.1));
  if (name == "ExponentialLR") return std::make_shared<ExponentialLR>(rates, o["gamma"].number());
  if (name == "CosineAnnealingLR")
    return std::make_shared<CosineAnnealingLR>(rates, integer("T_max", 0), o.number("eta_min", 0));
  if (name == "CosineAnnealingWarmRestarts")
    return std::make_shared<CosineAnnealingWarmRestarts>(
        rates, CosineAnnealingWarmRestartsOptions{integer("T_0", 0), integer("T_mult", 1), o.number("eta_min", 0)});
  if (name == "LinearLR")
    return std::make_shared<LinearLR>(rates, LinearLROptions{.start_factor = o.number("start_factor", 1.0 / 3),
                                                             .end_factor = o.number("end_factor", 1),
                                                             .total_iters = integer("total_iters", 5)});
  BOOST_TEST_REQUIRE(name == "ReduceLROnPlateau");
  ReduceLROnPlateauOptions options{.factor = o.number("factor", 0.1),
                                   .patience = int(o.number("patience", 10)),
                                   .threshold = o.number("threshold", 1e-4),
                                   .cooldown = int(o.number("cooldown", 0)),
                                   .min_lr = o.number("min_lr", 0)};
  options.maximize = o.contains("mode") && o["mode"].text() == "max";
  options.relative = !o.contains("threshold_mode") || o["threshold_mode"].text() == "rel";
  return std::make_shared<ReduceLROnPlateau>(rates, options);
}

}  // namespace

BOOST_AUTO_TEST_CASE(rates_are_torchs_and_a_resumed_schedule_goes_on) {
  const Reference file = Reference::file("optim");
  const std::vector<double> metrics = file["metrics"].numbers();
  std::size_t checked = 0;
  for (const Reference s : file["schedulers"]) {
    if (s["scheduler"].text() == "OneCycleLR") continue;
    SGD<double> sgd = optimizer_with(s["lr"].numbers());
    auto scheduler = make_scheduler(s, sgd);
    for (std::size_t e = 0; e <= metrics.size(); ++e) {
      std::vector<double> rates;
      for (std::size_t g = 0; g < sgd.groups(); ++g) rates.push_back(sgd.lr(g));
      check_close(rates, s["rates"][e].numbers(), 1e-13, s.where() + " epoch " + std::to_string(e));
      ++checked;
      if (e == metrics.size()) break;
      if (e == 7) {  // as after an interruption: recreated, then loaded
        const auto state = scheduler->state_dict();
        const auto rates_now = sgd.state_dict();
        sgd = optimizer_with(s["lr"].numbers());
        scheduler = make_scheduler(s, sgd);
        sgd.load_state_dict(rates_now);
        scheduler->load_state_dict(state);
      }
      scheduler->step(metrics[e]);
    }
  }
  BOOST_TEST(checked > 200u);
}

BOOST_AUTO_TEST_CASE(one_cycle_is_torchs_in_rates_and_momenta) {
  std::size_t checked = 0;
  for (const Reference s : Reference::file("optim")["schedulers"]) {
    if (s["scheduler"].text() != "OneCycleLR") continue;
    const Reference o = s["options"];
    const std::size_t groups = s["lr"].size();
    OneCycleLROptions options{.total_steps = std::int64_t(o["total_steps"].number()),
                              .pct_start = o.number("pct_start", 0.3),
                              .cycle_momentum = o.flag("cycle_momentum", true),
                              .base_momentum = o.number("base_momentum", 0.85),
                              .max_momentum = o.number("max_momentum", 0.95),
                              .div_factor = o.number("div_factor", 25),
                              .final_div_factor = o.number("final_div_factor", 1e4),
                              .three_phase = o.flag("three_phase", false)};
    if (o.contains("anneal_strategy")) options.anneal_strategy = OneCycleLROptions::Anneal::Linear;
    const bool list = o["max_lr"].where().find('[', o["max_lr"].where().find(' ')) != std::string::npos;
    const std::vector<double> max_lr = list ? o["max_lr"].numbers() : std::vector<double>(groups, o["max_lr"].number());
    const auto make = [&]() -> std::unique_ptr<Optimizer<double>> {
      const std::string name = s["optimizer"].text();
      if (name == "Adam") return std::make_unique<Adam<double>>(std::vector<Parameter<double>>{Tensor<double>{1}});
      if (name == "Adagrad")
        return std::make_unique<Adagrad<double>>(std::vector<Parameter<double>>{Tensor<double>{1}});
      return std::make_unique<SGD<double>>(optimizer_with(s["lr"].numbers()));
    };
    auto optimizer = make();
    auto schedule = std::make_unique<OneCycleLR>(*optimizer, max_lr, options);
    for (std::size_t e = 0; e < s["rates"].size(); ++e) {
      std::vector<double> rates, momenta;
      for (std::size_t g = 0; g < groups; ++g) {
        rates.push_back(optimizer->lr(g));
        momenta.push_back(options.cycle_momentum ? optimizer->momentum(g) : 0);
      }
      check_close(rates, s["rates"][e].numbers(), 1e-13, s.where() + " step " + std::to_string(e));
      check_close(momenta, s["momenta"][e].numbers(), 1e-13, s.where() + " momentum at step " + std::to_string(e));
      ++checked;
      if (e + 1 == s["rates"].size()) break;
      if (e == 7) {
        const auto state = schedule->state_dict();
        const auto rates_now = optimizer->state_dict();
        optimizer = make();
        schedule = std::make_unique<OneCycleLR>(*optimizer, max_lr, options);
        schedule->load_state_dict(state);
        optimizer->load_state_dict(rates_now);
      }
      schedule->step();
    }
  }
  BOOST_TEST(checked > 100u);
}

// On one optimizer, one after the other or in sequence. Halfway everything is recreated and loaded.
BOOST_AUTO_TEST_CASE(chained_schedules_are_torchs) {
  const Reference file = Reference::file("optim");
  const std::vector<double> metrics = file["metrics"].numbers();
  for (const Reference chain : file["chains"]) {
    SGD<double> sgd = optimizer_with(chain["lr"].numbers());
    const auto make = [&] {
      std::vector<std::shared_ptr<Scheduler>> made;
      for (const Reference s : chain["schedulers"]) made.push_back(make_scheduler(s, sgd));
      const std::vector<std::size_t> milestones = chain["milestones"].indices();
      if (milestones.empty()) return made;
      return std::vector<std::shared_ptr<Scheduler>>{
          std::make_shared<SequentialLR>(made, std::vector<std::int64_t>(milestones.begin(), milestones.end()))};
    };
    auto schedulers = make();
    for (std::size_t e = 0; e <= metrics.size(); ++e) {
      std::vector<double> rates;
      for (std::size_t g = 0; g < sgd.groups(); ++g) rates.push_back(sgd.lr(g));
      check_close(rates, chain["rates"][e].numbers(), 1e-13, chain.where() + " epoch " + std::to_string(e));
      if (e == metrics.size()) break;
      if (e == 7) {
        std::vector<std::vector<std::pair<std::string, double>>> states;
        for (const auto& scheduler : schedulers) states.push_back(scheduler->state_dict());
        const auto rates_now = sgd.state_dict();
        sgd = optimizer_with(chain["lr"].numbers());
        schedulers = make();
        sgd.load_state_dict(rates_now);
        for (std::size_t i = 0; i < states.size(); ++i) schedulers[i]->load_state_dict(states[i]);
      }
      for (const auto& scheduler : schedulers) scheduler->step(metrics[e]);
    }
  }
}

// As in torch 2.15: the warm-up does not undo the plateau's reduction.
BOOST_AUTO_TEST_CASE(a_warm_up_and_a_plateau_on_a_metric_that_stays) {
  SGD<double> sgd = optimizer_with({0.1});
  LinearLR warm_up(sgd, {.start_factor = 0.5, .total_iters = 2});
  ReduceLROnPlateau plateau(sgd, {.patience = 1});
  std::vector<double> rates;
  for (int e = 0; e < 8; ++e) {
    rates.push_back(sgd.lr());
    warm_up.step();
    plateau.step(1);
  }
  check_close(rates, std::vector<double>{0.05, 0.075, 0.1, 0.01, 0.01, 0.001, 0.001, 0.0001}, 1e-15, "rates");
}

BOOST_AUTO_TEST_CASE(a_sequence_may_end_in_a_plateau) {
  SGD<double> sgd = optimizer_with({0.1, 1});
  const auto make = [&] {
    return SequentialLR({std::make_shared<LinearLR>(sgd, LinearLROptions{.start_factor = 0.25, .total_iters = 3}),
                         std::make_shared<ReduceLROnPlateau>(sgd, ReduceLROnPlateauOptions{.patience = 1})},
                        {3});
  };
  SequentialLR schedule = make();
  std::vector<double> rates;
  for (int e = 0; e < 9; ++e) {
    rates.push_back(sgd.lr(1));
    if (e == 5) {
      const auto state = schedule.state_dict();
      const auto rates_now = sgd.state_dict();
      sgd = optimizer_with({0.1, 1});
      schedule = make();
      sgd.load_state_dict(rates_now);
      schedule.load_state_dict(state);
    }
    schedule.step(1);
  }
  // The plateau begins at e = 3 and sees its first metric after that epoch; the second and third bad ones reduce.
  check_close(rates, std::vector<double>{0.25, 0.5, 0.75, 1, 1, 1, 0.1, 0.1, 0.01}, 1e-14, "rates");
  BOOST_TEST(sgd.lr(0) == sgd.lr(1) / 10, boost::test_tools::tolerance(1e-14));
  check_throws<ValueError>([&] { schedule.step(); }, {"metric"});
}

/// A user's schedule: just a function of the epoch.
struct Halving : EpochScheduler {
  explicit Halving(LearningRates& rates) : EpochScheduler(rates) { start(); }
  double rate(double initial, std::int64_t epoch) const override { return initial / std::pow(2, epoch + 1); }
};

BOOST_AUTO_TEST_CASE(a_schedule_of_ones_own_is_chained_too) {
  SGD<double> sgd = optimizer_with({1});
  Halving halving(sgd);
  ExponentialLR tenth(sgd, 0.1);
  BOOST_TEST(sgd.lr() == 0.5);
  halving.step();
  tenth.step();
  BOOST_TEST(sgd.lr() == 0.025, boost::test_tools::tolerance(1e-15));
}

BOOST_AUTO_TEST_CASE(warm_up_then_cosine) {
  SGD<double> sgd = optimizer_with({0.1, 0.4});
  const auto make = [&] {
    return SequentialLR({std::make_shared<LinearLR>(sgd, LinearLROptions{.start_factor = 0.1, .total_iters = 4}),
                         std::make_shared<CosineAnnealingLR>(sgd, 10, 0.01)},
                        {4});
  };
  SequentialLR schedule = make();
  std::vector<double> rates;
  for (int e = 0; e < 15; ++e) {
    rates.push_back(sgd.lr(1));
    if (e == 9) {
      const auto state = schedule.state_dict();
      const auto rates_now = sgd.state_dict();
      sgd = optimizer_with({0.1, 0.4});
      schedule = make();
      sgd.load_state_dict(rates_now);
      schedule.load_state_dict(state);
      BOOST_TEST(sgd.lr(1) == rates.back());
    }
    schedule.step();
  }
  check_close(std::vector<double>(rates.begin(), rates.begin() + 5), std::vector<double>{0.04, 0.13, 0.22, 0.31, 0.4},
              1e-14, "warm-up");
  BOOST_TEST(rates[9] == (0.4 + 0.01) / 2, boost::test_tools::tolerance(1e-12));
  BOOST_TEST(rates[14] == 0.01, boost::test_tools::tolerance(1e-12));
}

// What 0.1 stored for a SequentialLR: its epoch, and one list of initial rates.
BOOST_AUTO_TEST_CASE(a_sequence_saved_by_0_1_goes_on) {
  for (const std::int64_t saved : {1, 4, 6, 9, 12}) {
    SGD<double> sgd = optimizer_with({0.1, 0.4}), resumed = optimizer_with({0.1, 0.4});
    const auto make = [](SGD<double>& rates) {
      return SequentialLR(
          {std::make_shared<LinearLR>(rates, LinearLROptions{.start_factor = 0.1, .total_iters = 4}),
           std::make_shared<StepLR>(rates, 2, 0.5), std::make_shared<CosineAnnealingLR>(rates, 10, 0.01)},
          {4, 9});
    };
    SequentialLR whole = make(sgd), after = make(resumed);
    for (std::int64_t e = 0; e < saved; ++e) whole.step();
    after.load_state_dict({{"epoch", static_cast<double>(saved)}, {"initial_lr.0", 0.1}, {"initial_lr.1", 0.4}});
    resumed.load_state_dict(sgd.state_dict());
    for (int e = 0; e < 8; ++e) {
      whole.step();
      after.step();
      for (const std::size_t g : {0, 1}) BOOST_TEST(resumed.lr(g) == sgd.lr(g), "saved at " << saved);
    }
  }
}

// Each schedule counts from its own milestone and uses the rates from before all of them.
BOOST_AUTO_TEST_CASE(three_schedules_in_sequence) {
  SGD<double> sgd = optimizer_with({1, 8});
  SequentialLR schedule(
      {std::make_shared<StepLR>(sgd, 2, 0.5), std::make_shared<ExponentialLR>(sgd, 0.25),
       std::make_shared<LinearLR>(sgd, LinearLROptions{.start_factor = 0.5, .end_factor = 1, .total_iters = 2})},
      {3, 5});
  const std::vector<double> expected{1, 1, 0.5, 1, 0.25, 0.5, 0.75, 1, 1};
  for (const double factor : expected) {
    BOOST_TEST(sgd.lr(0) == factor);
    BOOST_TEST(sgd.lr(1) == 8 * factor);
    schedule.step();
  }
}

BOOST_AUTO_TEST_CASE(a_rate_below_the_least_one_is_not_raised) {
  SGD<double> sgd = optimizer_with({1e-4, 1e-2});
  ReduceLROnPlateau schedule(sgd, {.patience = 0, .min_lr = 1e-3});
  for (int i = 0; i < 4; ++i) schedule.step(1);
  BOOST_TEST(sgd.lr(0) == 1e-4);
  BOOST_TEST(sgd.lr(1) == 1e-3);
}

BOOST_AUTO_TEST_CASE(what_cannot_be_meant_is_refused) {
  SGD<double> sgd = optimizer_with({0.1});
  check_throws<ValueError>([&] { StepLR(sgd, 0); }, {"StepLR", "step_size"});
  check_throws<ValueError>([&] { CosineAnnealingLR(sgd, 0); }, {"T_max"});
  check_throws<ValueError>([&] { CosineAnnealingWarmRestarts(sgd, {.T_0 = 0}); }, {"T_0"});
  check_throws<ValueError>([&] { CosineAnnealingWarmRestarts(sgd, {.T_0 = 1, .T_mult = 0}); }, {"T_mult"});
  check_throws<ValueError>([&] { OneCycleLR(sgd, 1, {}); }, {"total_steps"});
  check_throws<ValueError>([&] { OneCycleLR(sgd, 1, {.total_steps = 5, .pct_start = 2}); }, {"pct_start"});
  check_throws<ValueError>([&] { OneCycleLR(sgd, {1, 2}, {.total_steps = 5}); }, {"1 rates expected", "2 came"});
  Adagrad<double> adagrad({Parameter<double>(Tensor<double>{1})});
  check_throws<ValueError>([&] { OneCycleLR(adagrad, 1, {.total_steps = 5}); }, {"momentum", "cycle_momentum"});
  OneCycleLR cycle(sgd, 1, {.total_steps = 2});
  cycle.step();
  cycle.step();
  check_throws<ValueError>([&] { cycle.step(); }, {"OneCycleLR", "total_steps = 2"});
  check_throws<ValueError>([&] { LinearLR(sgd, {.start_factor = 0}); }, {"start_factor"});
  check_throws<ValueError>([&] { LinearLR(sgd, {.total_iters = 0}); }, {"total_iters"});
  check_throws<ValueError>([&] { ReduceLROnPlateau(sgd, {.factor = 1}); }, {"factor"});
  check_throws<ValueError>([&] { ReduceLROnPlateau(sgd).step(); }, {"metric"});
  check_throws<ValueError>([&] { SequentialLR({std::make_shared<StepLR>(sgd, 1)}, {3}); }, {"2 schedules"});
  check_throws<ValueError>([&] { StepLR(sgd, 1).load_state_dict({}); }, {"epoch"});
  for (const double wrong : {double(NAN), 1e300, -1.0}) {
    StepLR step(sgd, 1);
    check_throws<ValueError>([&] { step.load_state_dict({{"epoch", wrong}, {"initial_lr.0", 1}}); }, {"epoch"});
    ReduceLROnPlateau plateau(sgd);
    check_throws<ValueError>(
        [&] {
          plateau.load_state_dict({{"best", 1}, {"bad_epochs", wrong}, {"cooldown", 0}});
        },
        {"bad_epochs"});
  }
}

BOOST_AUTO_TEST_CASE(nan_is_no_improvement) {
  SGD<double> sgd = optimizer_with({1});
  ReduceLROnPlateau schedule(sgd, {.patience = 0});
  schedule.step(1);
  schedule.step(std::numeric_limits<double>::quiet_NaN());
  BOOST_TEST(sgd.lr() == 0.1);
  schedule.step(0.5);
  BOOST_TEST(sgd.lr() == 0.1);
}
