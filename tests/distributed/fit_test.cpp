// fit on several ranks gives the history of one rank over the same global batches, and has one writer.
#include "handgrad/training/fit.hpp"

#include <filesystem>

#include "handgrad/base/random.hpp"
#include "handgrad/base/xtensor.hpp"
#include "handgrad/containers/sequential.hpp"
#include "handgrad/data/dataset.hpp"
#include "handgrad/distributed/data_parallel.hpp"
#include "handgrad/distributed/in_process.hpp"
#include "handgrad/distributed/sync_batch_norm.hpp"
#include "handgrad/layers/activations.hpp"
#include "handgrad/layers/dropout.hpp"
#include "handgrad/layers/linear.hpp"
#include "handgrad/losses/bce.hpp"
#include "handgrad/metrics/ranking.hpp"
#include "handgrad/optim/adam.hpp"
#include "handgrad/optim/schedulers.hpp"
#include "handgrad/optim/sgd.hpp"
#include "handgrad/training/training_step.hpp"
#include "support/check.hpp"
#include "support/files.hpp"

using namespace handgrad;
using handgrad::test::check_close;
using handgrad::test::check_throws;
using handgrad::test::TemporaryFolder;

namespace {

TensorDataset<double> data(std::size_t n, std::uint64_t seed) {
  Generator generator(seed);
  Tensor<double> x = Tensor<double>::empty({n, 3}), y = Tensor<double>::empty({n, 1});
  uniform_(x, -2, 2, generator);
  for (std::size_t i = 0; i < n; ++i) {
    const double* row = x.data() + 3 * i;
    y.data()[i] = row[0] * row[1] + row[2] + generator.uniform<double>() > 0.5;
  }
  return {x, y};
}

struct Result {
  History history;
  std::vector<NamedTensor<double>> state;
};

struct Options {
  int epochs = 4;
  std::string checkpoint = "", best_weights = "";
  std::optional<EarlyStoppingOptions> early_stopping = {};
  bool dropout = false;
  std::function<void(FitOptions<double>&, int rank)> more = {};
};

/// 48 examples in global batches of 12, 29 for validation.
Result train(int k, const Options& o) {
  std::vector<Result> all(static_cast<std::size_t>(k));
  manual_seed(1);
  run_ranks(k, [&](Communicator& ranks) {
    Sequential<double> net;
    net.push_back(std::make_shared<Linear<double>>(3, 8));
    net.push_back(std::make_shared<SyncBatchNorm<double>>(8, ranks));
    net.push_back(std::make_shared<ReLU<double>>());
    if (o.dropout) net.push_back(std::make_shared<Dropout<double>>(0.3));
    net.push_back(std::make_shared<Linear<double>>(8, 1));
    DataParallel<double> parallel(net, ranks);
    SGD<double> sgd(net.parameters(), {.lr = 0.1, .momentum = 0.9});
    StepLR schedule(sgd, 2, 0.5);
    BCEWithLogitsLoss<double> loss;
    DistributedSampler mine(48, k, ranks.rank(), {.seed = 3});
    DistributedSampler valid_mine(29, k, ranks.rank(), {.shuffle = false, .pad = false});
    DataLoader train(data(48, 5), {.batch_size = 12 / static_cast<std::size_t>(k), .sampler = &mine});
    DataLoader valid(data(29, 6), {.batch_size = 4, .sampler = &valid_mine});
    FitOptions<double> options{.epochs = o.epochs,
                               .validation = &valid,
                               .metrics = {{"auroc", [](const auto& z, const auto& y) { return roc_auc_score(y, z); }}},
                               .early_stopping = o.early_stopping,
                               .schedulers = {&schedule},
                               .max_grad_norm = 0.4,
                               .best_weights = o.best_weights,
                               .checkpoint = o.checkpoint,
                               .parallel = &parallel,
                               .progress = false};
    if (o.more) o.more(options, ranks.rank());
    Result& own = all[static_cast<std::size_t>(ranks.rank())];
    own.history = fit(net, loss, sgd, train, options);
    own.state = net.state_dict();
  });
  for (const Result& other : all) {
    BOOST_TEST((other.history.end == all[0].history.end));
    BOOST_TEST(other.history.best_epoch == all[0].history.best_epoch);
    BOOST_TEST_REQUIRE(other.history.epochs.size() == all[0].history.epochs.size());
    for (std::size_t i = 0; i < other.state.size(); ++i)
      BOOST_TEST((other.state[i].second == all[0].state[i].second), other.state[i].first);
  }
  return all[0];
}

void check_same(const Result& actual, const Result& expected, const std::string& what) {
  BOOST_TEST((actual.history.end == expected.history.end), what);
  BOOST_TEST(actual.history.best_epoch == expected.history.best_epoch, what);
  BOOST_TEST_REQUIRE(actual.history.epochs.size() == expected.history.epochs.size(), what);
  for (std::size_t i = 0; i < actual.history.epochs.size(); ++i) {
    const EpochResult &a = actual.history.epochs[i], &e = expected.history.epochs[i];
    const auto numbers = [](const EpochResult& r) {
      return std::vector<double>{r.loss, r.validation_loss.value_or(-1), r.metrics.at(0), r.lr};
    };
    check_close(numbers(a), numbers(e), 1e-12, what + ", epoch " + std::to_string(i + 1));
  }
  for (std::size_t i = 0; i < actual.state.size(); ++i)
    check_close(actual.state[i].second, expected.state[i].second, 1e-11, what + ": " + actual.state[i].first);
}

}  // namespace

BOOST_AUTO_TEST_CASE(the_history_of_one_rank) {
  const Options options{.epochs = 12, .early_stopping = EarlyStoppingOptions{.patience = 2}};
  const Result one = train(1, options);
  BOOST_TEST(one.history.best_epoch > 0);
  for (const int k : {2, 3, 4}) check_same(train(k, options), one, std::to_string(k) + " ranks");
}

BOOST_AUTO_TEST_CASE(resumed_on_another_number_of_ranks) {
  const Result whole = train(1, {.epochs = 6});
  const TemporaryFolder folder;
  const std::string checkpoint = folder / "run.safetensors";
  train(2, {.epochs = 2, .checkpoint = checkpoint});
  BOOST_TEST(std::filesystem::exists(checkpoint));
  train(3, {.epochs = 4, .checkpoint = checkpoint});
  check_same(train(1, {.epochs = 6, .checkpoint = checkpoint}), whole, "2, then 3 ranks, then 1");
}

BOOST_AUTO_TEST_CASE(resumed_on_as_many_it_has_the_same_bits) {
  const Result whole = train(3, {.epochs = 4, .dropout = true});
  const TemporaryFolder folder;
  const std::string checkpoint = folder / "run.safetensors";
  train(3, {.epochs = 2, .checkpoint = checkpoint, .dropout = true});
  const Result resumed = train(3, {.epochs = 4, .checkpoint = checkpoint, .dropout = true});
  for (std::size_t i = 0; i < whole.state.size(); ++i)
    BOOST_TEST((resumed.state[i].second == whole.state[i].second), whole.state[i].first);
}

BOOST_AUTO_TEST_CASE(one_rank_stops_all) {
  const Result result =
      train(3, {.epochs = 5, .more = [](FitOptions<double>& options, int rank) {
                  options.callbacks = {[rank](const EpochResult& r) { return rank != 2 || r.epoch < 2; }};
                }});
  BOOST_TEST((result.history.end == History::End::Callback));
  BOOST_TEST(result.history.epochs.size() == 2u);
}

BOOST_AUTO_TEST_CASE(only_rank_0_writes) {
  const TemporaryFolder folder;
  const Result result = train(3, {.epochs = 2, .more = [&](FitOptions<double>& options, int rank) {
                                    options.best_weights = folder / ("best" + std::to_string(rank));
                                    options.checkpoint = folder / ("run" + std::to_string(rank));
                                  }});
  BOOST_TEST(std::filesystem::exists(folder / "best0"));
  BOOST_TEST(std::filesystem::exists(folder / "run0"));
  for (const char* name : {"best1", "best2", "run1", "run2"}) BOOST_TEST(!std::filesystem::exists(folder / name), name);
}

BOOST_AUTO_TEST_CASE(different_trainings_are_refused) {
  check_throws<ValueError>(
      [] { train(2, {.more = [](FitOptions<double>& options, int rank) { options.epochs = 4 + rank; }}); },
      {"fit: rank 1 has a training of 5 epochs, rank 0 has 4 epochs"});
  const auto other = [](std::size_t batch, std::uint64_t seed) {
    run_ranks(3, [&](Communicator& ranks) {
      Sequential<double> net{Linear<double>(3, 1)};
      DataParallel<double> parallel(net, ranks);
      SGD<double> sgd(net.parameters(), {.lr = 0.1});
      BCEWithLogitsLoss<double> loss;
      const bool last = ranks.rank() == 2;
      DistributedSampler mine(48, 3, ranks.rank(), {.seed = last ? seed : 1});
      DataLoader<double> train(data(48, 5), {.batch_size = last ? batch : 4, .sampler = &mine});
      fit(net, loss, sgd, train, FitOptions<double>{.parallel = &parallel, .progress = false});
    });
  };
  other(4, 1);
  check_throws<ValueError>([&] { other(8, 1); }, {"fit: rank 2 has a training of 2 batches, rank 0 has 4 batches"});
  check_throws<ValueError>([&] { other(4, 2); }, {"fit: rank 2 has a training of a sampler of seed 2", "seed 1"});
}

// A rank that cannot go on ends all, and leaves the checkpoint of an epoch that was whole.
BOOST_AUTO_TEST_CASE(a_checkpoint_is_whole_when_a_rank_dies) {
  const Options epochs{.epochs = 6};
  const Result whole = train(3, epochs);
  for (const int victim : {0, 1}) {
    const TemporaryFolder folder;
    const std::string checkpoint = folder / "run.safetensors";
    const auto dying = [&](FitOptions<double>& options, int rank) {
      options.callbacks.push_back([=](const EpochResult& epoch) {
        if (rank == victim && epoch.epoch == 4) throw IoError("the disk is full");
        return true;
      });
    };
    check_throws<IoError>([&] { train(3, {.epochs = 6, .checkpoint = checkpoint, .more = dying}); },
                          {victim == 0 ? "rank 0: the disk is full" : "rank 1: the disk is full"});
    const Result resumed = train(3, {.epochs = 6, .checkpoint = checkpoint});
    check_same(resumed, whole, "resumed after the death of rank " + std::to_string(victim));
    for (std::size_t i = 0; i < whole.state.size(); ++i)
      BOOST_TEST((resumed.state[i].second == whole.state[i].second), whole.state[i].first);
  }
}

// A loss that is not finite on one rank ends all of them.
BOOST_AUTO_TEST_CASE(not_finite_ends_all) {
  std::vector<History> histories(2);
  run_ranks(2, [&](Communicator& ranks) {
    Sequential<double> net{Linear<double>(3, 1)};
    DataParallel<double> parallel(net, ranks);
    Adam<double> adam(net.parameters());
    BCEWithLogitsLoss<double> loss;
    TensorDataset<double> own = data(8, 5);
    if (ranks.rank() == 1) {
      Tensor<double> x = ones<double>({8, 3});
      x.data()[13] = INFINITY;
      own = TensorDataset<double>(x, ones<double>({8, 1}));
    }
    DataLoader train(own, {.batch_size = 2});
    histories[static_cast<std::size_t>(ranks.rank())] =
        fit(net, loss, adam, train, FitOptions<double>{.epochs = 3, .parallel = &parallel, .progress = false});
  });
  for (const History& history : histories) {
    BOOST_TEST((history.end == History::End::NotFinite));
    BOOST_TEST(history.epochs.empty());
    BOOST_TEST((history.reason.find("batch 3") != std::string::npos), history.reason);
  }
}
