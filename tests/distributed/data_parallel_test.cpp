// Several ranks (threads here) train like one rank on all their rows.
#include "handgrad/distributed/data_parallel.hpp"

#include <atomic>
#include <chrono>
#include <numeric>

#include "handgrad/base/random.hpp"
#include "handgrad/base/xtensor.hpp"
#include "handgrad/containers/sequential.hpp"
#include "handgrad/containers/tie.hpp"
#include "handgrad/distributed/in_process.hpp"
#include "handgrad/layers/activations.hpp"
#include "handgrad/layers/dropout.hpp"
#include "handgrad/layers/layer_norm.hpp"
#include "handgrad/layers/linear.hpp"
#include "handgrad/losses/bce.hpp"
#include "handgrad/losses/cross_entropy.hpp"
#include "handgrad/losses/mse.hpp"
#include "handgrad/optim/clip_grad.hpp"
#include "handgrad/optim/sgd.hpp"
#include "handgrad/training/training_step.hpp"
#include "support/check.hpp"
#include "support/ranks.hpp"

using namespace handgrad;
using handgrad::test::check_close;
using handgrad::test::check_throws;

namespace {

std::shared_ptr<Sequential<double>> make_net(std::size_t outputs) {
  auto net = std::make_shared<Sequential<double>>();
  net->push_back(std::make_shared<Linear<double>>(5, 7));
  net->push_back(std::make_shared<ReLU<double>>());
  net->push_back(std::make_shared<Linear<double>>(7, 11));
  net->push_back(std::make_shared<LayerNorm<double>>(Shape{11}));
  net->push_back(std::make_shared<Tanh<double>>());
  net->push_back(std::make_shared<Linear<double>>(11, outputs));
  return net;
}

/// Rank r's rows of a batch, k ranks sharing it as unevenly as possible.
std::pair<std::size_t, std::size_t> share(std::size_t rows, int r, int k) {
  const auto from = [&](int i) {
    return i == k
               ? rows
               : rows * static_cast<std::size_t>(i * i) / static_cast<std::size_t>(k * k) + static_cast<std::size_t>(i);
  };
  return {from(r), from(r + 1)};
}

struct Trained {
  std::vector<double> losses;  // of all rows, step by step
  std::vector<NamedTensor<double>> state, grads;
};

/// Trains on k ranks for a few steps on batches of 29 rows.
Trained train(int k, const std::function<std::unique_ptr<Loss<double>>()>& make_loss, std::size_t outputs,
              const std::function<Tensor<double>(const Tensor<double>&)>& targets, std::size_t bucket_bytes = 1 << 20) {
  manual_seed(3);
  const Tensor<double> x = randn<double>({4 * 29, 5}), y = targets(x);
  std::vector<Trained> all(static_cast<std::size_t>(k));
  run_ranks(k, [&](Communicator& ranks) {
    auto net = make_net(outputs);
    if (ranks.rank() > 0)
      for (auto& parameter : net->parameters()) parameter.value().fill(7);  // to be replaced by rank 0's
    DataParallel<double> parallel(*net, ranks, {.bucket_bytes = bucket_bytes});
    auto loss = make_loss();
    SGD<double> sgd(net->parameters(), {.lr = 0.3, .momentum = 0.9});
    Trained& own = all[static_cast<std::size_t>(ranks.rank())];
    const auto [from, to] = share(29, ranks.rank(), k);
    for (std::size_t step = 0; step < 4; ++step) {
      const Tensor<double> xs = x.rows(step * 29 + from, step * 29 + to), ys = y.rows(step * 29 + from, step * 29 + to);
      const double value = loss->forward(net->forward(xs), ys).item();
      const double weight = loss->reduction() == Reduction::Sum ? 1 : loss->averaged_over();
      const double over = all_reduce(ranks, weight);
      own.losses.push_back(all_reduce(ranks, weight * value) / (loss->reduction() == Reduction::Sum ? 1 : over));
      sgd.zero_grad();
      net->backward(loss->backward());
      clip_grad_norm_(net->parameters(), 0.5);
      sgd.step();
    }
    own.state = net->state_dict();
    for (const auto& [name, parameter] : net->named_parameters())
      own.grads.emplace_back(name, parameter.grad().clone());
  });
  for (const Trained& other : all)  // all ranks have the same bits
    for (std::size_t i = 0; i < other.state.size(); ++i) {
      BOOST_TEST((other.state[i].second == all[0].state[i].second), other.state[i].first);
      BOOST_TEST((other.grads[i].second == all[0].grads[i].second), other.grads[i].first);
    }
  return all[0];
}

void check_same(const Trained& actual, const Trained& expected, const std::string& what) {
  check_close(actual.losses, expected.losses, 1e-12, what + ": losses");
  for (std::size_t i = 0; i < expected.state.size(); ++i) {
    check_close(actual.state[i].second, expected.state[i].second, 1e-12, what + ": " + expected.state[i].first);
    check_close(actual.grads[i].second, expected.grads[i].second, 1e-12, what + ": d" + expected.grads[i].first);
  }
}

bool same_bits(const Trained& a, const Trained& b) {
  bool same = a.losses == b.losses;
  for (std::size_t i = 0; i < a.state.size(); ++i) same = same && a.state[i].second == b.state[i].second;
  return same;
}

Tensor<double> classes(const Tensor<double>& x) {
  Tensor<double> y = zeros<double>({x.size(0)});
  for (std::size_t i = 0; i < y.numel(); ++i) y.data()[i] = static_cast<double>((i * 7 + i / 3) % 3);
  return y;
}

}  // namespace

BOOST_AUTO_TEST_CASE(several_ranks_train_as_one) {
  const Tensor<double> weights{0.2, 1, 3};
  struct Case {
    const char* name;
    std::function<std::unique_ptr<Loss<double>>()> loss;
    std::size_t outputs;
    std::function<Tensor<double>(const Tensor<double>&)> targets;
  };
  const auto columns = [](std::size_t n) {
    return [n](const Tensor<double>& x) {
      Tensor<double> y = zeros<double>({x.size(0), n});
      for (std::size_t i = 0; i < y.numel(); ++i) y.data()[i] = static_cast<double>(i * i % 5 % 2);
      return y;
    };
  };
  const Case cases[] = {
      {"MSE", [] { return std::make_unique<MSELoss<double>>(); }, 2, columns(2)},
      {"MSE, sum", [] { return std::make_unique<MSELoss<double>>(Reduction::Sum); }, 2, columns(2)},
      {"BCE", [] { return std::make_unique<BCEWithLogitsLoss<double>>(); }, 1, columns(1)},
      {"cross-entropy", [] { return std::make_unique<CrossEntropyLoss<double>>(); }, 3, classes},
      {"weighted",
       [&] { return std::make_unique<CrossEntropyLoss<double>>(CrossEntropyLossOptions<double>{.weight = weights}); },
       3, classes},
  };
  for (const Case& c : cases) {
    const Trained one = train(1, c.loss, c.outputs, c.targets);
    for (const int k : {2, 3, 4}) {
      const std::string what = c.name + std::string(" on ") + std::to_string(k);
      const Trained several = train(k, c.loss, c.outputs, c.targets);
      check_same(several, one, what);
      BOOST_TEST(same_bits(train(k, c.loss, c.outputs, c.targets), several), what << " again");
      for (const std::size_t bytes : {8, 600})  // overlapped
        BOOST_TEST(same_bits(train(k, c.loss, c.outputs, c.targets, bytes), several),
                   what << " in pieces of " << bytes);
    }
  }
}

/// Ranks whose sums are counted.
class Counted final : public Communicator {
 public:
  explicit Counted(Communicator& ranks) : ranks_(ranks) {
    if (ranks.beside()) beside_ = std::make_unique<Counted>(*ranks.beside());
  }
  int rank() const override { return ranks_.rank(); }
  int size() const override { return ranks_.size(); }
  void all_reduce(std::span<float> x) override { ranks_.all_reduce(x), ++sums; }
  void all_reduce(std::span<double> x) override { ranks_.all_reduce(x), ++sums; }
  void broadcast(std::span<std::byte> bytes, int root) override { ranks_.broadcast(bytes, root); }
  void barrier() override { ranks_.barrier(); }
  Communicator* beside() override { return beside_.get(); }
  void abort(const std::string& reason) noexcept override { ranks_.abort(reason); }

  std::atomic<int> sums = 0;

 private:
  Communicator& ranks_;
  std::unique_ptr<Counted> beside_;
};

/// y = x, whose backward waits until there have been so many sums.
class WaitsForSums final : public Layer<double> {
 public:
  WaitsForSums(const Counted& ranks, int sums) : ranks_(ranks), sums_(sums) {}
  bool in_vain = false;

 protected:
  void forward_into(const Tensor<double>& x, Tensor<double>& y) override { y.copy_from(x); }
  void backward_into(const Tensor<double>&, const Tensor<double>&, const Tensor<double>& dy,
                     Tensor<double>& dx) override {
    const auto begin = std::chrono::steady_clock::now();
    while (ranks_.sums < sums_ && !in_vain)
      in_vain = std::chrono::steady_clock::now() - begin > std::chrono::seconds(20);
    dx.copy_from(dy);
  }

 private:
  const Counted& ranks_;
  int sums_;
};

// The backward of the layers below goes on only when the gradients above are summed: the sums run beside it.
BOOST_AUTO_TEST_CASE(sums_run_beside_the_backward) {
  run_ranks(2, [](Communicator& threads) {
    Counted ranks(threads);
    auto waits = std::make_shared<WaitsForSums>(static_cast<Counted&>(*ranks.beside()), 5);
    Sequential<double> net;
    net.push_back(std::make_shared<Linear<double>>(3, 4));
    net.push_back(waits);
    net.push_back(std::make_shared<Linear<double>>(4, 5));
    net.push_back(std::make_shared<Linear<double>>(5, 1));
    // The header, and bias and weight of two layers, each by itself.
    DataParallel<double> parallel(net, ranks, {.bucket_bytes = 8});
    net.forward(ones<double>({2, 3}));
    net.backward(ones<double>({2, 1}));
    const auto turn = handgrad::test::one_at_a_time();
    BOOST_TEST(!waits->in_vain);
  });
}

// With one rank, DataParallel changes no bit.
BOOST_AUTO_TEST_CASE(one_rank_is_as_none) {
  manual_seed(3);
  auto with = make_net(2);
  manual_seed(3);
  auto without = make_net(2);
  const Tensor<double> x = randn<double>({6, 5}), dy = randn<double>({6, 2});
  run_ranks(1, [&](Communicator& ranks) {
    DataParallel<double> parallel(*with, ranks);
    for (auto net : {with, without}) net->forward(x), net->backward(dy);
  });
  for (std::size_t i = 0; i < with->parameters().size(); ++i)
    BOOST_TEST((with->parameters()[i].grad() == without->parameters()[i].grad()));
}

// Accumulation over micro-batches, summing in the last or in each of them.
BOOST_AUTO_TEST_CASE(accumulation) {
  for (const Reduction reduction : {Reduction::Mean, Reduction::Sum}) {
    manual_seed(4);
    const Tensor<double> x = randn<double>({3, 8, 5}), y = randn<double>({3, 8, 2});
    const auto part = [](const Tensor<double>& all, std::size_t m, int rank, int k) {
      const std::size_t rows = 8 / static_cast<std::size_t>(k), from = m * 8 + static_cast<std::size_t>(rank) * rows;
      return all.reshape({24, all.size(2)}).rows(from, from + rows);
    };
    std::vector<Tensor<double>> expected;
    for (const int k : {1, 2, 4})
      for (const bool each : {false, true})
        for (const std::size_t bytes : {8, 1 << 20})
          run_ranks(k, [&](Communicator& ranks) {
            auto net = make_net(2);
            DataParallel<double> parallel(*net, ranks, {.bucket_bytes = bytes});
            MSELoss<double> loss(reduction);
            for (int step = 0; step < 2; ++step) {
              net->zero_grad();
              for (std::size_t m = 0; m < 3; ++m) {
                std::optional<DataParallel<double>::NoSync> alone;
                if (!each && m < 2) alone.emplace(parallel);
                loss.forward(net->forward(part(x, m, ranks.rank(), k)), part(y, m, ranks.rank(), k));
                net->backward(loss.backward());
              }
            }
            const auto turn = handgrad::test::one_at_a_time();
            if (k == 1) expected.clear();
            for (std::size_t i = 0; const auto& parameter : net->parameters()) {
              if (k == 1)
                expected.push_back(parameter.grad().clone());
              else
                check_close(parameter.grad(), expected[i++], 1e-12, "gradient on " + std::to_string(k));
            }
          });
  }
}

BOOST_AUTO_TEST_CASE(frozen_and_shared_parameters) {
  std::vector<Tensor<double>> expected;
  for (const int k : {1, 2})
    for (const std::size_t bytes : {8, 1 << 20})
      run_ranks(k, [&](Communicator& ranks) {
        Sequential<double> net;
        net.push_back(std::make_shared<Linear<double>>(4, 4));
        net.push_back(std::make_shared<Tanh<double>>());
        net.push_back(std::make_shared<Linear<double>>(4, 4));
        net.push_back(std::make_shared<Linear<double>>(4, 1));
        net[2].parameters()[0].tie(net[0].parameters()[0]);
        net[2].parameters()[1].requires_grad(false);
        DataParallel<double> parallel(net, ranks, {.bucket_bytes = bytes});
        MSELoss<double> loss;
        const Tensor<double> x = linspace<double>(-1, 1, 24).reshape({6, 4}),
                             y = linspace<double>(0, 1, 6).reshape({6, 1});
        const std::size_t rows = 6 / static_cast<std::size_t>(k), from = rows * static_cast<std::size_t>(ranks.rank());
        loss.forward(net.forward(x.rows(from, from + rows)), y.rows(from, from + rows));
        net.backward(loss.backward());
        const auto turn = handgrad::test::one_at_a_time();
        BOOST_TEST(!net[2].parameters()[1].has_grad());
        if (k == 1) expected.clear();
        for (std::size_t i = 0; const auto& parameter : net.parameters()) {
          if (k == 1)
            expected.push_back(parameter.grad().clone());
          else
            check_close(parameter.grad(), expected[i++], 1e-12, "gradient");
        }
      });
}

// Ranks that run out of batches follow those with more.
BOOST_AUTO_TEST_CASE(a_rank_out_of_data_joins) {
  manual_seed(5);
  const Tensor<double> x = randn<double>({20, 5}), y = randn<double>({20, 2});
  const std::size_t batches[] = {5, 2, 0};
  for (const Reduction reduction : {Reduction::Mean, Reduction::Sum})
    for (const std::size_t bytes : {8, 1 << 20}) {
      std::vector<std::vector<NamedTensor<double>>> states(3);
      run_ranks(3, [&](Communicator& ranks) {
        auto net = make_net(2);
        DataParallel<double> parallel(*net, ranks, {.bucket_bytes = bytes});
        SGD<double> sgd(net->parameters(), {.lr = 0.01, .momentum = 0.9});
        MSELoss<double> loss(reduction);
        const auto rank = static_cast<std::size_t>(ranks.rank());
        for (std::size_t b = 0; b < batches[rank]; ++b) {
          const std::size_t from = rank == 0 ? 2 * b : 10 + 5 * b, to = rank == 0 ? from + 2 : from + 5;
          sgd.zero_grad();
          loss.forward(net->forward(x.rows(from, to)), y.rows(from, to));
          net->backward(loss.backward());
          sgd.step();
        }
        parallel.join([&] { sgd.step(); });
        states[rank] = net->state_dict();
      });
      run_ranks(1, [&](Communicator&) {
        auto net = make_net(2);
        SGD<double> sgd(net->parameters(), {.lr = 0.01, .momentum = 0.9});
        MSELoss<double> loss(reduction);
        for (std::size_t b = 0; b < 5; ++b) {
          const Tensor<double> xs =
              b < 2 ? Tensor<double>(xt::concatenate(
                          xt::xtuple(x.rows(2 * b, 2 * b + 2).xt<2>(), x.rows(10 + 5 * b, 15 + 5 * b).xt<2>()), 0))
                    : x.rows(2 * b, 2 * b + 2);
          const Tensor<double> ys =
              b < 2 ? Tensor<double>(xt::concatenate(
                          xt::xtuple(y.rows(2 * b, 2 * b + 2).xt<2>(), y.rows(10 + 5 * b, 15 + 5 * b).xt<2>()), 0))
                    : y.rows(2 * b, 2 * b + 2);
          sgd.zero_grad();
          loss.forward(net->forward(xs), ys);
          net->backward(loss.backward());
          sgd.step();
        }
        for (const auto& state : states)
          for (std::size_t i = 0; i < state.size(); ++i)
            check_close(state[i].second, net->state_dict()[i].second, 1e-12, state[i].first);
      });
    }
}

BOOST_AUTO_TEST_CASE(each_rank_draws_its_own_masks) {
  manual_seed(6);
  std::vector<Tensor<float>> y(3);
  run_ranks(3, [&](Communicator& ranks) {
    Sequential<float> net{Linear<float>(2, 40), Dropout<float>(0.5)};
    DataParallel<float> parallel(net, ranks);
    y[static_cast<std::size_t>(ranks.rank())] = net.forward(ones({1, 2})).clone();
  });
  Sequential<float> net{Linear<float>(2, 40), Dropout<float>(0.5)};
  BOOST_TEST((net.forward(ones({1, 2})) == y[0]));  // rank 0 draws what a single one does
  BOOST_TEST(!(y[0] == y[1]));
  BOOST_TEST(!(y[0] == y[2]));
  BOOST_TEST(!(y[1] == y[2]));
}

BOOST_AUTO_TEST_CASE(a_stop_reaches_all_at_the_same_step) {
  std::vector<int> steps(3);
  run_ranks(3, [&](Communicator& ranks) {
    Sequential<double> net{Linear<double>(2, 1)};
    DataParallel<double> parallel(net, ranks);
    for (int step = 1; !parallel.stop_requested(); ++step) {
      if (ranks.rank() == 1 && step == 3) parallel.request_stop();
      net.forward(ones<double>({2, 2}));
      net.backward(ones<double>({2, 1}));
      steps[static_cast<std::size_t>(ranks.rank())] = step;
    }
  });
  BOOST_TEST(steps == std::vector<int>({3, 3, 3}), boost::test_tools::per_element());
}

BOOST_AUTO_TEST_CASE(what_does_not_fit_together_is_refused) {
  check_throws<ValueError>([] { run_ranks(0, [](Communicator&) {}); }, {"0 ranks"});
  check_throws<ValueError>(
      [] {
        run_ranks(3, [](Communicator& ranks) {
          Sequential<double> net{Linear<double>(2, ranks.rank() == 2 ? 5 : 4)};
          DataParallel<double> parallel(net, ranks);
        });
      },
      {"rank 2 has", "0.weight (5, 2) double", "rank 0 has 0.weight (4, 2) double"});
  check_throws<ValueError>(
      [] {
        run_ranks(2, [](Communicator& ranks) {
          Sequential<double> net{Linear<double>(2, 4, ranks.rank() == 0)};
          DataParallel<double> parallel(net, ranks);
        });
      },
      {"rank 1 has", "nothing", "0.bias"});
  const auto seeded = [](bool same_seed) {
    run_ranks(3, [&](Communicator& ranks) {
      manual_seed(ranks.rank() == 2 ? 8 : 7);
      Sequential<double> net{Linear<double>(2, 1)};
      DataParallel<double> parallel(net, ranks, {.same_seed = same_seed});
    });
  };
  check_throws<ValueError>([&] { seeded(true); }, {"rank 2 has the seed 8, rank 0 has 7", "manual_seed(n)"});
  seeded(false);
  check_throws<StateError>(
      [] {
        run_ranks(2, [](Communicator& ranks) {
          Sequential<double> net{Linear<double>(2, 1)};
          DataParallel<double> parallel(net, ranks);
          MSELoss<double> a, b;
          a.forward(ones<double>({2, 1}), ones<double>({2, 1})), a.backward();
          b.forward(ones<double>({3, 1}), ones<double>({3, 1})), b.backward();
        });
      },
      {"MSELoss averages over 3 rows", "over 2", "averaged_over(n)"});
}

BOOST_AUTO_TEST_CASE(a_rank_that_ends_ends_the_others) {
  const auto train = [](Communicator& ranks, std::size_t bytes, const std::function<void(int)>& in_step) {
    auto net = make_net(1);
    DataParallel<double> parallel(*net, ranks, {.bucket_bytes = bytes});
    for (int step = 0; step < 5; ++step) {
      if (ranks.rank() == 1) in_step(step);
      net->forward(ones<double>({2, 5}));
      net->backward(ones<double>({2, 1}));
    }
  };
  for (const std::size_t bytes : {8, 1 << 20}) {
    check_throws<ValueError>(
        [&] {
          run_ranks(3, [&](Communicator& ranks) {
            train(ranks, bytes, [](int step) {
              if (step == 2) throw ValueError("the disk is full");
            });
          });
        },
        {"rank 1: the disk is full"});
    int waited = 0;
    check_throws<RankError>(
        [&] {
          run_ranks(2, [&](Communicator& ranks) {
            if (ranks.rank() == 0) {
              try {
                train(ranks, bytes, {});
              } catch (const RankError& error) {
                ++waited;
                throw;
              }
            } else {
              auto net = make_net(1);
              DataParallel<double> parallel(*net, ranks, {.bucket_bytes = bytes});
            }
          });
        },
        {"rank 1 has ended", "rank 0 waits for it in all_reduce"});
    BOOST_TEST(waited == 1);
  }
  check_throws<RankError>(
      [] {
        run_ranks(2, [](Communicator& ranks) {
          std::vector<double> numbers(ranks.rank() == 0 ? 3 : 4);
          ranks.all_reduce(std::span<double>(numbers));
        });
      },
      {"all_reduce of"});
}
