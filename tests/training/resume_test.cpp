// A run that was killed and taken up again from its checkpoint, with each optimizer and with what else has a memory:
// schedules that restart or run through one cycle, an average of weights, masks within recurrent and attention layers.
// It goes on to the same bits.
#include <functional>
#include <memory>

#include "handgrad/handgrad.hpp"
#include "handgrad/training/checkpoint.hpp"
#include "support/check.hpp"
#include "support/files.hpp"

using namespace handgrad;
using handgrad::test::TemporaryFolder;

namespace {

using Parameters = std::vector<Parameter<float>>;
using MakeOptimizer = std::function<std::unique_ptr<Optimizer<float>>(const Parameters&)>;
using MakeSchedule = std::function<std::unique_ptr<Scheduler>(Optimizer<float>&)>;

constexpr std::int64_t all_steps = 14;

template <class O, class Options>
MakeOptimizer with(Options options) {
  return [=](const Parameters& parameters) { return std::make_unique<O>(parameters, options); };
}

std::vector<std::pair<std::string, MakeOptimizer>> optimizers() {
  return {{"SGD", with<SGD<float>>(SGDOptions{.lr = 0.05, .momentum = 0.9, .weight_decay = 0.01, .nesterov = true})},
          {"Adam", with<Adam<float>>(AdamOptions{.lr = 0.02, .amsgrad = true})},
          {"AdamW", with<AdamW<float>>(AdamWOptions{.lr = 0.02})},
          {"RMSprop", with<RMSprop<float>>(RMSpropOptions{.lr = 0.01, .momentum = 0.8, .centered = true})},
          {"Adagrad", with<Adagrad<float>>(AdagradOptions{.lr = 0.05, .lr_decay = 0.1})},
          {"Adadelta", with<Adadelta<float>>(AdadeltaOptions{.lr = 0.5})},
          {"NAdam", with<NAdam<float>>(NAdamOptions{.lr = 0.02})},
          {"Lion", with<Lion<float>>(LionOptions{.lr = 0.003})},
          {"Muon", with<Muon<float>>(MuonOptions{.lr = 0.02})}};
}

MakeSchedule one_cycle() {
  return [](Optimizer<float>& optimizer) -> std::unique_ptr<Scheduler> {
    // Adagrad and Adadelta have no momentum that could run the other way.
    const bool momentum = optimizer.name() != "Adagrad" && optimizer.name() != "Adadelta";
    return std::make_unique<OneCycleLR>(
        optimizer, 0.05, OneCycleLROptions{.total_steps = all_steps, .cycle_momentum = momentum, .three_phase = true});
  };
}

MakeSchedule warm_restarts() {
  return [](Optimizer<float>& optimizer) -> std::unique_ptr<Scheduler> {
    return std::make_unique<CosineAnnealingWarmRestarts>(
        optimizer, CosineAnnealingWarmRestartsOptions{.T_0 = 3, .T_mult = 2, .eta_min = 0.001});
  };
}

/// A training by hand, whose every step draws masks and numbers.
struct Training {
  Sequential<float> net;
  MSELoss<float> loss;
  std::unique_ptr<Optimizer<float>> optimizer;
  std::unique_ptr<Scheduler> schedule;
  ExponentialMovingAverage<float> average;
  TrainingState<float> state;

  Training(Sequential<float> layers, const MakeOptimizer& make_optimizer, const MakeSchedule& make_schedule)
      : net(std::move(layers)),
        optimizer(make_optimizer(matrices_or_all(net, make_optimizer))),
        schedule(make_schedule(*optimizer)),
        average(net.parameters(), 0.8),
        state{.net = net, .optimizer = optimizer.get(), .schedulers = {schedule.get()}, .average = &average} {}

  /// Muon takes matrices alone.
  static Parameters matrices_or_all(Sequential<float>& net, const MakeOptimizer& make) {
    Parameters all = net.parameters(), matrices;
    try {
      make(all);
      return all;
    } catch (const ValueError&) {
    }
    for (const auto& p : all)
      if (p.shape().rank() == 2) matrices.push_back(p);
    return matrices;
  }

  void step() {
    const Tensor<float> x = randn({5, 4, 6});
    const Tensor<float>& y = net.forward(x);
    loss.forward(y, randn(y.shape()));
    net.zero_grad();
    net.backward(loss.backward());
    optimizer->step();
    average.update();
    schedule->step();
    ++state.epoch;
  }

  std::vector<std::pair<std::string, std::vector<float>>> everything() const {
    std::vector<std::pair<std::string, std::vector<float>>> all;
    const auto add = [&](const std::string& prefix, const std::vector<NamedTensor<float>>& tensors) {
      for (const auto& [name, value] : tensors) all.emplace_back(prefix + name, value.to_vector());
    };
    add("net ", net.state_dict());
    add("optimizer ", optimizer->state_dict().tensors);
    add("average ", average.state_dict());
    return all;
  }
};

Sequential<float> dense() {
  manual_seed(3);
  return Sequential{Linear(6, 7), BatchNorm1d(4), Tanh(), Dropout(0.3), Linear(7, 2)};
}

void check_resumed(const std::string& name, const std::function<Sequential<float>()>& make,
                   const MakeOptimizer& optimizer, const MakeSchedule& schedule) {
  const TemporaryFolder folder;
  Training whole(make(), optimizer, schedule);
  std::vector<std::vector<std::pair<std::string, std::vector<float>>>> expected;
  std::vector<double> rates;
  for (int step = 0; step < all_steps; ++step) {
    save_checkpoint(folder / std::to_string(step), whole.state);
    whole.step();
    expected.push_back(whole.everything());
    rates.push_back(whole.optimizer->lr());
  }
  const std::string generator = default_generator().state();
  for (const int stop : {0, 1, 4, 9, 13}) {
    Training after(make(), optimizer, schedule);
    default_generator().manual_seed(99);  // as in a program that has drawn other numbers
    load_checkpoint(folder / std::to_string(stop), after.state);
    BOOST_TEST(after.state.epoch == stop);
    for (int step = stop; step < all_steps; ++step) {
      after.step();
      BOOST_TEST(after.optimizer->lr() == rates[static_cast<std::size_t>(step)], name << " rate in step " << step);
      const auto found = after.everything();
      const auto& wanted = expected[static_cast<std::size_t>(step)];
      BOOST_TEST_REQUIRE(found.size() == wanted.size());
      for (std::size_t i = 0; i < found.size(); ++i)
        BOOST_TEST((found[i] == wanted[i]),
                   name << ", resumed at " << stop << ", step " << step << ": " << wanted[i].first);
    }
    BOOST_TEST(default_generator().state() == generator);
  }
}

}  // namespace

BOOST_AUTO_TEST_CASE(every_optimizer_through_one_cycle) {
  for (const auto& [name, make] : optimizers()) check_resumed(name, dense, make, one_cycle());
}

BOOST_AUTO_TEST_CASE(every_optimizer_with_warm_restarts) {
  for (const auto& [name, make] : optimizers()) check_resumed(name, dense, make, warm_restarts());
}

BOOST_AUTO_TEST_CASE(layers_with_masks_within) {
  const auto adam = with<Adam<float>>(AdamOptions{.lr = 0.02});
  check_resumed(
      "LSTM",
      [] {
        manual_seed(4);
        return Sequential{LSTM(6, 3, {.num_layers = 3, .dropout = 0.4}), Linear(3, 2)};
      },
      adam, one_cycle());
  check_resumed(
      "encoder",
      [] {
        manual_seed(5);
        return Sequential{PositionalEncoding(6), TransformerEncoderLayer(6, 2, {.dim_feedforward = 5, .dropout = 0.3}),
                          MultiheadAttention(6, 3, {.dropout = 0.2})};
      },
      adam, warm_restarts());
}
