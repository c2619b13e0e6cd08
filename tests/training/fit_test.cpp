// Training: the same seed gives PyTorch's run and the same bits at any number of threads; an interrupted run resumes
// exactly.
#include "handgrad/training/fit.hpp"

#include <sys/wait.h>
#include <unistd.h>

#include <cmath>
#include <csignal>
#include <filesystem>
#include <fstream>

#include "handgrad/containers/sequential.hpp"
#include "handgrad/data/dataset.hpp"
#include "handgrad/io/files.hpp"
#include "handgrad/io/safetensors.hpp"
#include "handgrad/layers/activations.hpp"
#include "handgrad/layers/batch_norm.hpp"
#include "handgrad/layers/dropout.hpp"
#include "handgrad/layers/linear.hpp"
#include "handgrad/losses/bce.hpp"
#include "handgrad/losses/mse.hpp"
#include "handgrad/metrics/ranking.hpp"
#include "handgrad/optim/adam.hpp"
#include "handgrad/optim/sgd.hpp"
#include "handgrad/training/checkpoint.hpp"
#include "support/check.hpp"
#include "support/files.hpp"
#include "support/typed.hpp"

using namespace handgrad;
using handgrad::test::check_throws;
using handgrad::test::TemporaryFolder;

namespace {

/// Two classes that a small network can learn, with some noise.
TensorDataset<float> moons(std::size_t n, std::uint64_t seed) {
  Generator generator(seed);
  Tensor<float> x = Tensor<float>::empty({n, 3}), y = Tensor<float>::empty({n, 1});
  uniform_(x, -2, 2, generator);
  for (std::size_t i = 0; i < n; ++i) {
    const float* row = x.data() + 3 * i;
    y.data()[i] = row[0] * row[1] + row[2] + generator.uniform<float>() > 0.5f;
  }
  return {x, y};
}

/// A training with everything random and everything with state.
struct Training {
  Sequential<float> net;
  BCEWithLogitsLoss<float> loss;
  AdamW<float> optimizer;
  StepLR schedule;
  DataLoader<float> train, valid;
  FitOptions<float> options;

  explicit Training(int epochs, const std::string& checkpoint = "")
      : net(make_net()),
        optimizer(no_decay_on_biases_and_norms(net, AdamWOptions{.lr = 0.02})),
        schedule(optimizer, 2, 0.5),
        train(moons(96, 1), {.batch_size = 16, .shuffle = true}),
        valid(moons(50, 2), {.batch_size = 32}) {
    options.epochs = epochs;
    options.validation = &valid;
    options.metrics = {{"auroc", [](const auto& z, const auto& y) { return roc_auc_score(y, z); }}};
    options.monitor = "auroc";
    options.early_stopping = EarlyStoppingOptions{.patience = 100, .maximize = true, .restore_best = false};
    options.schedulers = {&schedule};
    options.max_grad_norm = 1;
    options.checkpoint = checkpoint;
  }
  static Sequential<float> make_net() {
    manual_seed(7);
    return Sequential{Linear(3, 17), BatchNorm1d(17), ReLU(), Dropout(0.3), Linear(17, 5), Dropout(0.1), Linear(5, 1)};
  }
  History run() { return fit(net, loss, optimizer, train, options); }
};

template <class A, class B>
void check_same_bits(const A& a, const B& b) {
  BOOST_TEST_REQUIRE(a.size() == b.size());
  for (std::size_t i = 0; i < a.size(); ++i) BOOST_TEST((a[i].second == b[i].second), a[i].first);
}

void check_same(const History& a, const History& b) {
  BOOST_TEST_REQUIRE(a.epochs.size() == b.epochs.size());
  for (std::size_t i = 0; i < a.epochs.size(); ++i) {
    BOOST_TEST(a.epochs[i].epoch == b.epochs[i].epoch);
    BOOST_TEST(a.epochs[i].loss == b.epochs[i].loss);
    BOOST_TEST(a.epochs[i].lr == b.epochs[i].lr);
    BOOST_TEST(*a.epochs[i].validation_loss == *b.epochs[i].validation_loss);
    BOOST_TEST(a.epochs[i].metrics == b.epochs[i].metrics);
  }
}

}  // namespace

BOOST_AUTO_TEST_CASE(the_same_seed_gives_the_same_bits) {
  Training one(3);
  const History first = one.run();
  Training two(3);
  const History second = two.run();
  check_same(first, second);
  check_same_bits(one.net.state_dict(), two.net.state_dict());
}

BOOST_AUTO_TEST_CASE(a_resumed_run_goes_on_bit_for_bit) {
  const TemporaryFolder folder;
  Training whole(6);
  const History expected = whole.run();
  const std::string generator = default_generator().state();

  for (const int stop : {1, 3, 5}) {
    const std::string path = folder / ("run" + std::to_string(stop));
    {
      Training before(6, path);
      before.options.callbacks = {[&](const EpochResult& e) { return e.epoch < stop; }};
      BOOST_TEST((before.run().end == History::End::Callback));
    }
    Training after(6, path);
    default_generator().manual_seed(12345);  // as in a program that has drawn other numbers
    const History resumed = after.run();
    BOOST_TEST((resumed.end == History::End::Finished));
    check_same(resumed, expected);
    check_same_bits(after.net.state_dict(), whole.net.state_dict());
    check_same_bits(after.optimizer.state_dict().tensors, whole.optimizer.state_dict().tensors);
    BOOST_TEST(default_generator().state() == generator);
  }
}

BOOST_AUTO_TEST_CASE(a_loaders_own_generator_is_resumed_too) {
  const TemporaryFolder folder;
  const auto trained = [](int epochs, const std::string& checkpoint) {
    manual_seed(1);
    Sequential<float> net{Linear(3, 1)};
    BCEWithLogitsLoss<float> loss;
    SGD<float> sgd(net.parameters(), {.lr = 0.1});
    Generator generator(9);
    DataLoader<float> loader(moons(32, 3), {.batch_size = 5, .shuffle = true, .generator = &generator});
    fit(net, loss, sgd, loader, {.epochs = epochs, .checkpoint = checkpoint});
    return net.state_dict();
  };
  trained(2, folder / "run");
  check_same_bits(trained(4, folder / "run"), trained(4, ""));
}

// 0.1 kept the history among the checkpoint's notes.
BOOST_AUTO_TEST_CASE(a_checkpoint_of_0_1_is_resumed) {
  const TemporaryFolder folder;
  const std::string path = folder / "run";
  Training whole(4);
  const History expected = whole.run();
  Training before(4, path);
  before.options.callbacks = {[](const EpochResult& e) { return e.epoch < 2; }};
  before.run();
  const Safetensors<float> file = read_safetensors<float>(path);
  auto metadata = file.metadata;
  metadata.erase("notes.history_bytes");
  metadata["notes.history"] = read_file(path + ".history");
  write_safetensors(path, file.tensors, metadata);
  std::filesystem::remove(path + ".history");
  Training after(4, path);
  check_same(after.run(), expected);
  check_same_bits(after.net.state_dict(), whole.net.state_dict());
  Training again(4, path);  // from the file as rewritten
  check_same(again.run(), expected);
}

BOOST_AUTO_TEST_CASE(a_finished_run_is_not_run_again) {
  const TemporaryFolder folder;
  Training first(2, folder / "run");
  first.run();
  Training again(2, folder / "run");
  bool called = false;
  again.options.callbacks = {[&](const EpochResult&) { return called = true; }};
  const History history = again.run();
  BOOST_TEST(!called);
  BOOST_TEST(history.epochs.size() == 2u);
  check_same_bits(first.net.state_dict(), again.net.state_dict());
}

BOOST_AUTO_TEST_CASE(a_checkpoint_of_something_else_is_refused) {
  const TemporaryFolder folder;
  const std::string path = folder / "run";
  Training run(1, path);
  run.run();
  Sequential<float> narrow{Linear(3, 2)}, shallow{Linear(3, 17)};
  TrainingState<float> state{narrow}, part{shallow};
  check_throws<ShapeError>([&] { load_checkpoint(path, state); }, {"run", "0.weight", "(17, 3)", "(2, 3)"});
  check_throws<ValueError>([&] { load_checkpoint(path, part); }, {"run", "unexpected", "6.weight"});
  Sequential<float> net = Training::make_net();
  SGD<float> sgd(net.parameters());
  TrainingState<float> other{net, &sgd};
  check_throws<ValueError>([&] { load_checkpoint(path, other); }, {"run", "AdamW", "SGD"});
  write_safetensors(folder / "weights", net.state_dict());
  TrainingState<float> weights{net};
  check_throws<ValueError>([&] { load_checkpoint(folder / "weights", weights); }, {"weights", "epoch"});
}

BOOST_AUTO_TEST_CASE(numbers_of_a_checkpoint_that_cannot_be_are_refused) {
  const TemporaryFolder folder;
  Training run(1, folder / "run");
  run.run();
  const Safetensors<float> file = read_safetensors<float>(folder / "run");
  for (const char* name : {"epoch", "optimizer.0.step", "optimizer.groups.0.lr", "early_stopping.epoch"})
    for (const char* wrong : {"nan", "1e300", "-1.0", "0.5x", "0,5", ""}) {
      auto metadata = file.metadata;
      BOOST_TEST_REQUIRE(metadata.contains(name));
      if (name == std::string("optimizer.groups.0.lr") && wrong == std::string("1e300")) continue;
      metadata[name] = wrong;
      write_safetensors(folder / "damaged", file.tensors, metadata);
      Training other(1, folder / "damaged");
      const std::string key = std::string(name).substr(std::string(name).find('.') + 1);
      try {
        other.run();
        BOOST_ERROR(name << " = '" << wrong << "' was taken");
      } catch (const Error& error) {
        BOOST_TEST(std::string(error.what()).find("damaged") != std::string::npos, error.what());
        BOOST_TEST(std::string(error.what()).find(key == "groups.0.lr" ? "lr" : key) != std::string::npos,
                   error.what());
      }
    }
}

BOOST_AUTO_TEST_CASE(early_stopping_restores_the_best_weights_as_a_copy) {
  Sequential<double> net{Linear<double>(1, 1)};
  EarlyStopping<double> stopping({.patience = 2});
  const std::vector<double> losses{3, 2, 2.5, 1, NAN, 1.5};
  std::vector<bool> stops;
  for (std::size_t e = 0; e < losses.size(); ++e) {
    net.parameters()[0].value().fill(static_cast<double>(e));
    stops.push_back(stopping.step(losses[e], net));
  }
  BOOST_TEST(stops == (std::vector<bool>{false, false, false, false, false, true}), boost::test_tools::per_element());
  BOOST_TEST(stopping.best_epoch() == 4);
  BOOST_TEST(stopping.best() == 1);
  stopping.restore(net);
  BOOST_TEST(net.parameters()[0].value().item() == 3);
}

BOOST_AUTO_TEST_CASE(a_grace_period_and_a_least_improvement) {
  Sequential<double> net{Linear<double>(1, 1)};
  EarlyStopping<double> stopping({.patience = 1, .grace_period = 4, .min_delta = 0.5, .maximize = true});
  std::vector<bool> stops;
  for (const double metric : {1.0, 1.4, 1.6, 1.7}) stops.push_back(stopping.step(metric, net));
  BOOST_TEST(stops == (std::vector<bool>{false, false, false, true}), boost::test_tools::per_element());
  BOOST_TEST(stopping.best() == 1.6);
}

// As in Keras and Lightning: an epoch better than all before never stops the training.
BOOST_AUTO_TEST_CASE(a_patience_of_0_is_one_of_1) {
  Sequential<double> net{Linear<double>(1, 1)};
  for (const int patience : {0, 1}) {
    EarlyStopping<double> stopping({.patience = patience});
    std::vector<bool> stops;
    for (const double loss : {3.0, 2.0, 1.0, 1.0}) stops.push_back(stopping.step(loss, net));
    BOOST_TEST(stops == (std::vector<bool>{false, false, false, true}), boost::test_tools::per_element());
  }
}

namespace {

/// y = x + a, in a network that can be followed by hand.
template <class T>
struct Training1d {
  Sequential<T> net{Linear<T>(Tensor<T>{{T(0.5)}}, Tensor<T>{0}), Linear<T>(Tensor<T>{{1}}, Tensor<T>{0})};
  MSELoss<T> loss;
  SGD<T> sgd;
  Tensor<T> x{{1}, {2}, {3}, {4}}, y{{1}, {0}, {1}, {0}};
  explicit Training1d(double lr = 0.01) : sgd(net.parameters(), {.lr = lr}) {}
  History run(FitOptions<T> options) {
    DataLoader<T> train(TensorDataset<T>(x, y), {.batch_size = 2});
    options.progress = false;
    return fit(net, loss, sgd, train, options);
  }
};

void check_says(const std::string& reason, std::initializer_list<const char*> texts) {
  for (const char* text : texts)
    BOOST_TEST((reason.find(text) != std::string::npos), "'" << reason << "' lacks '" << text << "'");
}

}  // namespace

BOOST_AUTO_TEST_CASE(a_loss_that_is_not_finite_ends_it_and_says_where_it_began) {
  {  // Rates far too high: w = −1e20 gives predictions whose squares overflow.
    Training1d<float> training(1e10);
    const History history = training.run({.epochs = 20});
    BOOST_TEST((history.end == History::End::NotFinite));
    BOOST_TEST(history.epochs.size() < 3u);
    check_says(history.reason, {"the loss of step", "epoch", "batch", "inf", "the loss itself, MSELoss"});
    for (const auto& [name, value] : training.net.state_dict())
      for (const float v : value.to_vector()) BOOST_TEST(std::isfinite(v), name);  // that step was not made
  }
  {  // A weight that is infinite from the beginning
    Training1d<float> training;
    training.net.parameters()[2].value().fill(INFINITY);
    check_says(training.run({}).reason, {"step 1 (epoch 1, batch 1)", "1.weight", "Linear(1 → 1)"});
  }
  {  // Data
    Training1d<float> training;
    training.x = Tensor<float>{{1}, {2}, {3}, {NAN}};
    const History history = training.run({.epochs = 2});
    BOOST_TEST(history.epochs.empty());
    check_says(history.reason, {"step 2 (epoch 1, batch 2)", "is nan", "the batch itself"});
    Training1d<float> targets;
    targets.y = Tensor<float>{{1}, {INFINITY}, {3}, {4}};
    check_says(targets.run({}).reason, {"step 1", "targets"});
  }
  {  // A layer's output overflows
    Training1d<float> training;
    training.net.parameters()[0].value().fill(3e38f);
    check_says(training.run({}).reason, {"step 1", "y of layer 0, Linear(1 → 1)"});
    Training1d<float> second;
    second.net.parameters()[0].value().fill(1e30f);
    second.net.parameters()[2].value().fill(1e30f);
    check_says(second.run({}).reason, {"step 1", "y of layer 1, Linear(1 → 1)"});
  }
  {  // A gradient overflows: the loss is finite, dW = δᵀ·x is not.
    Training1d<float> training;
    training.x = Tensor<float>{{1e30f}, {1e30f}, {1}, {1}};
    training.net.parameters()[0].value().fill(1e-12f);
    training.net.parameters()[2].value().fill(1e-3f);
    check_says(training.run({}).reason,
               {"step 2 (epoch 1, batch 2)", "the gradient of 0.weight", "in the step before"});
  }
  {  // The update overflows, and the gradient does not.
    Training1d<float> training(1e39);
    check_says(training.run({}).reason, {"step 2", ", of Linear(1 → 1), after the update of the step before"});
  }
}

BOOST_AUTO_TEST_CASE(a_diverged_run_keeps_the_best_weights_and_its_checkpoint) {
  const TemporaryFolder folder;
  Training1d<double> training;
  std::vector<NamedTensor<double>> best;
  const auto run = [&](Training1d<double>& t) {
    return t.run({.epochs = 9,
                  .early_stopping = EarlyStoppingOptions{},
                  .checkpoint = folder / "run",
                  .callbacks = {[&](const EpochResult& e) {
                    if (e.epoch == 2) best = t.net.state_dict(), t.sgd.set_lr(1e300);
                    return true;
                  }}});
  };
  const History history = run(training);
  BOOST_TEST((history.end == History::End::NotFinite));
  BOOST_TEST(history.epochs.size() == 2u);
  BOOST_TEST_REQUIRE(!best.empty());
  check_same_bits(training.net.state_dict(), best);
  BOOST_TEST(read_safetensors<double>(folder / "run").metadata.at("epoch") == "2");
}

HANDGRAD_TEST_CUDA(on_a_device_the_step_is_named_after_the_epoch) {
  using T = typename Place::T;
  Training1d<T> training;
  training.net.to(Place::device());
  training.x = Tensor<T>{{1}, {2}, {3}, {T(NAN)}};
  const History history = training.run({.epochs = 5});
  BOOST_TEST((history.end == History::End::NotFinite));
  BOOST_TEST(history.epochs.empty());
  check_says(history.reason, {"step 2 (epoch 1, batch 2)", "GPU"});
}

BOOST_AUTO_TEST_CASE(a_last_batch_that_is_too_small_is_refused_before_the_first_step) {
  const auto data = [](std::size_t n) { return TensorDataset<float>(randn<float>({n, 2}), randn<float>({n, 1})); };
  Sequential<float> net{Linear(2, 3), Sequential<float>{BatchNorm1d(3)}, Linear(3, 1)};
  const auto before = net.state_dict();
  MSELoss<float> loss;
  SGD<float> sgd(net.parameters(), {.lr = 0.1});
  DataLoader<float> train(data(9), {.batch_size = 4}), whole(data(9), {.batch_size = 4, .drop_last = true});
  check_throws<ShapeError>(
      [&] { fit(net, loss, sgd, train); },
      {"last batch of the training data has 1 row", "9 in batches of 4", "BatchNorm1d(3)", "at least 2", "drop_last"});
  check_same_bits(net.state_dict(), before);
  BOOST_TEST(fit(net, loss, sgd, whole).epochs.size() == 1u);
  fit(net, loss, sgd, whole, {.validation = &train});  // in evaluation one row is enough
  Sequential<float> untracked{Linear(2, 3), BatchNorm1d(3, {.track_running_stats = false}), Linear(3, 1)};
  SGD<float> other(untracked.parameters(), {.lr = 0.1});
  check_throws<ShapeError>([&] { fit(untracked, loss, other, whole, {.validation = &train}); },
                           {"last batch of the validation data", "BatchNorm1d(3)"});
}

BOOST_AUTO_TEST_CASE(a_checkpoint_costs_the_same_after_many_epochs) {
  const TemporaryFolder folder;
  const auto size_after = [&](int epochs) {
    const std::string path = folder / ("run" + std::to_string(epochs));
    Training1d<float> training;
    const History history = training.run({.epochs = epochs, .checkpoint = path});
    std::size_t lines = 0;
    for (const char c : read_file(path + ".history")) lines += c == '\n';
    BOOST_TEST(lines == std::size_t(epochs));
    Training1d<float> again;
    const History resumed = again.run({.epochs = epochs, .checkpoint = path});
    BOOST_TEST_REQUIRE(resumed.epochs.size() == history.epochs.size());
    for (std::size_t i = 0; i < history.epochs.size(); ++i)
      BOOST_TEST(resumed.epochs[i].loss == history.epochs[i].loss);
    return std::filesystem::file_size(path);
  };
  BOOST_TEST(std::size_t(size_after(300)) <= size_after(3) + 64);  // some digits
}

// Killed between writing the history and the checkpoint: the line of the unsaved epoch is written again.
BOOST_AUTO_TEST_CASE(a_history_that_is_ahead_of_its_checkpoint_is_cut) {
  const TemporaryFolder folder;
  Training1d<float> whole, before, after;
  const History expected = whole.run({.epochs = 4});
  before.run({.epochs = 2, .checkpoint = folder / "run"});
  std::ofstream(folder / "run.history", std::ios::app) << "3 1 1 1 -\n4 1 1";
  const History resumed = after.run({.epochs = 4, .checkpoint = folder / "run"});
  BOOST_TEST_REQUIRE(resumed.epochs.size() == 4u);
  for (std::size_t i = 0; i < 4; ++i) BOOST_TEST(resumed.epochs[i].loss == expected.epochs[i].loss);
  folder.file("run.history", "1 0.5 0.01 0 -\n");
  Training1d<float> cut;
  check_throws<ParseError>([&] { cut.run({.epochs = 5, .checkpoint = folder / "run"}); },
                           {"run.history", "bytes expected"});
}

BOOST_AUTO_TEST_CASE(what_a_killed_process_left_of_a_checkpoint_is_removed) {
  const TemporaryFolder folder;
  const pid_t dead = ::fork();
  if (dead == 0) ::_exit(0);
  BOOST_TEST_REQUIRE(dead > 0);
  ::waitpid(dead, nullptr, 0);
  const std::string left = "run.part-" + std::to_string(dead);
  const std::string alive = "run.part-" + std::to_string(::getppid()), other = "run2.part-" + std::to_string(dead),
                    own = "run.part-" + std::to_string(dead) + "x";
  for (const std::string& name : {left, alive, other, own}) folder.file(name, "half");
  const auto there = [&](const std::string& name) { return std::filesystem::exists(folder / name); };

  Training1d<float> training;
  training.run({.checkpoint = folder / "run"});
  BOOST_TEST(!there(left));
  folder.file(left, "half");
  training.run({.checkpoint = folder / "run"});  // finished: only read
  BOOST_TEST(!there(left));
  BOOST_TEST((there(alive) && there(other) && there(own)));
}

BOOST_AUTO_TEST_CASE(fit_stops_early_with_the_best_weights) {
  const TemporaryFolder folder;
  Training run(200);
  run.options.monitor = "loss";
  run.options.early_stopping = EarlyStoppingOptions{.patience = 5};
  run.options.best_weights = folder / "best";
  const History history = run.run();
  BOOST_TEST((history.end == History::End::EarlyStopping));
  BOOST_TEST(history.epochs.size() == std::size_t(history.best_epoch) + 5);
  double best = INFINITY;
  for (const EpochResult& e : history.epochs) best = std::min(best, *e.validation_loss);
  BOOST_TEST(*history.epochs[std::size_t(history.best_epoch) - 1].validation_loss == best);
  BOOST_TEST(evaluate(run.net, run.loss, run.valid).first == best);
  BOOST_TEST(run.net.is_training());
  for (const auto& [name, tensor] : read_safetensors<float>(folder / "best").tensors)
    for (const auto& [own, value] : run.net.state_dict())
      if (own == name) BOOST_TEST((value == tensor), name);
}

BOOST_AUTO_TEST_CASE(an_early_stopped_run_stays_stopped) {
  const TemporaryFolder folder;
  const auto prepared = [&] {
    auto run = std::make_unique<Training>(200, folder / "run");
    run->options.early_stopping = EarlyStoppingOptions{.patience = 2, .maximize = true};
    return run;
  };
  const auto first = prepared();
  const History history = first->run();
  const auto again = prepared();
  const History resumed = again->run();
  BOOST_TEST((resumed.end == History::End::EarlyStopping));
  check_same(history, resumed);
  check_same_bits(first->net.state_dict(), again->net.state_dict());
}

BOOST_AUTO_TEST_CASE(the_best_weights_from_before_an_interruption_are_restored_after_it) {
  const TemporaryFolder folder;
  const auto prepared = [&](int epochs, const std::string& checkpoint) {
    auto run = std::make_unique<Training>(epochs, checkpoint);
    run->options.early_stopping = EarlyStoppingOptions{.patience = 3, .maximize = true};
    return run;
  };
  const auto whole = prepared(200, "");
  const History expected = whole->run();
  BOOST_TEST_REQUIRE((expected.end == History::End::EarlyStopping));
  const auto before = prepared(200, folder / "run");
  before->options.callbacks = {[&](const EpochResult& e) { return e.epoch <= expected.best_epoch; }};  // one more epoch
  BOOST_TEST((before->run().end == History::End::Callback));
  const auto after = prepared(200, folder / "run");
  const History resumed = after->run();
  check_same(resumed, expected);
  BOOST_TEST(resumed.best_epoch == expected.best_epoch);
  check_same_bits(after->net.state_dict(), whole->net.state_dict());
}

BOOST_AUTO_TEST_CASE(ctrl_c_ends_after_the_batch_with_the_best_weights) {
  Training run(50);
  run.options.monitor = "loss";
  run.options.early_stopping = EarlyStoppingOptions{.patience = 100};
  std::vector<NamedTensor<float>> best;
  double least = INFINITY;
  run.options.callbacks = {[&](const EpochResult& e) {
    if (*e.validation_loss < least) least = *e.validation_loss, best = run.net.state_dict();
    if (e.epoch == 3) std::raise(SIGINT);
    return true;
  }};
  const History history = run.run();
  BOOST_TEST((history.end == History::End::Interrupted));
  BOOST_TEST(history.epochs.size() == 3u);
  check_same_bits(run.net.state_dict(), best);
  struct sigaction now {};
  sigaction(SIGINT, nullptr, &now);
  BOOST_TEST((now.sa_handler == SIG_DFL));
}

BOOST_AUTO_TEST_CASE(the_loss_of_an_epoch_is_a_mean_over_examples) {
  const Tensor<double> x{{1}, {2}, {3}, {4}, {5}}, y{{1}, {0}, {1}, {0}, {3}};
  DataLoader<double> loader(TensorDataset(x, y), {.batch_size = 2});
  Sequential<double> net{Linear<double>(Tensor<double>{{0.5}}, Tensor<double>{0})};
  const double expected = (0.25 + 1 + 0.25 + 4 + 0.25) / 5;
  MSELoss<double> mean, sum(Reduction::Sum), none(Reduction::None);
  BOOST_TEST(evaluate(net, mean, loader).first == expected, boost::test_tools::tolerance(1e-15));
  BOOST_TEST(evaluate(net, sum, loader).first == expected, boost::test_tools::tolerance(1e-15));
  check_throws<ValueError>([&] { evaluate(net, none, loader); }, {"MSELoss", "Reduction::None"});
  DataLoader<double> whole_batches(TensorDataset(x, y), {.batch_size = 2, .drop_last = true});
  BOOST_TEST(evaluate(net, mean, whole_batches).first == (0.25 + 1 + 0.25 + 4) / 4,
             boost::test_tools::tolerance(1e-15));
}

BOOST_AUTO_TEST_CASE(gradients_are_clipped_before_each_step) {
  manual_seed(1);
  Sequential<double> net{Linear<double>(1, 1)};
  const auto before = net.state_dict();
  MSELoss<double> loss;
  SGD<double> sgd(net.parameters(), {.lr = 1});
  DataLoader<double> loader(TensorDataset(Tensor<double>{{1}, {2}}, Tensor<double>{{100}, {200}}), {.batch_size = 2});
  fit(net, loss, sgd, loader, {.max_grad_norm = 0.5});
  double moved = 0;
  for (const auto& [name, value] : net.state_dict())
    for (const auto& [own, start] : before)
      if (own == name) moved += std::pow(value.to_vector()[0] - start.to_vector()[0], 2);
  BOOST_TEST(std::sqrt(moved) == 0.5, boost::test_tools::tolerance(1e-6));
}

BOOST_AUTO_TEST_CASE(a_monitor_that_is_not_there_is_refused) {
  Training run(1);
  run.options.monitor = "f1";
  check_throws<ValueError>([&] { run.run(); }, {"monitor", "f1"});
  run.options.monitor = "auroc";
  run.options.early_stopping.reset();
  run.options.best_weights = "never written";
  check_throws<ValueError>([&] { run.run(); }, {"best_weights", "auroc", "early_stopping"});
}

// With recorded steps, and batches brought from the CPU in both ways.
HANDGRAD_TEST_CUDA(on_a_device_it_is_the_same_training) {
  using T = typename Place::T;
  const auto trained = [](Device device, std::optional<Device> batches) {
    manual_seed(7);
    Sequential<T> net{Linear<T>(3, 17, false), BatchNorm1d<T>(17), ReLU<T>(), Dropout<T>(0.3), Linear<T>(17, 1)};
    const Tensor<T> x = randn<T>({90, 3}), y = randint<T>(0, 2, {90, 1});
    net.to(device);
    BCEWithLogitsLoss<T> loss;
    AdamW<T> adamw(net.parameters(), {.lr = 0.02});
    StepLR schedule(adamw, 2, 0.5);
    DataLoader<T> train(TensorDataset<T>(x, y), {.batch_size = 16, .shuffle = true, .device = batches});
    DataLoader<T> valid(TensorDataset<T>(x, y), {.batch_size = 32, .device = batches});
    const History history =
        fit<T>(net, loss, adamw, train,
               {.epochs = 6,
                .validation = &valid,
                .metrics = {{"auroc", [](const auto& z, const auto& t) { return roc_auc_score(t, z); }}},
                .early_stopping = EarlyStoppingOptions{.patience = 100},
                .schedulers = {&schedule},
                .max_grad_norm = 0.2});
    std::vector<double> numbers{double(history.best_epoch)};
    for (const EpochResult& e : history.epochs) {
      numbers.insert(numbers.end(), {e.loss, *e.validation_loss, e.metrics[0], e.lr});
    }
    for (const auto& [name, value] : net.state_dict())
      for (const T v : value.to_vector()) numbers.push_back(double(v));
    return numbers;
  };
  const auto cpu = trained(Device::cpu(), {}), gpu = trained(Place::device(), Place::device()),
             over = trained(Place::device(), {});
  BOOST_TEST(gpu == over, boost::test_tools::per_element());
  handgrad::test::check_close(gpu, cpu, std::is_same_v<T, double> ? 1e-10 : 2e-3, "GPU");
}
