// BatchNorm over the rows of all ranks equals BatchNorm1d on one rank with all of them.
#include "handgrad/distributed/sync_batch_norm.hpp"

#include "handgrad/base/random.hpp"
#include "handgrad/base/xtensor.hpp"
#include "handgrad/check/testing.hpp"
#include "handgrad/containers/sequential.hpp"
#include "handgrad/distributed/data_parallel.hpp"
#include "handgrad/distributed/in_process.hpp"
#include "handgrad/layers/activations.hpp"
#include "handgrad/layers/linear.hpp"
#include "handgrad/losses/mse.hpp"
#include "handgrad/optim/sgd.hpp"
#include "support/check.hpp"
#include "support/ranks.hpp"

using namespace handgrad;
using handgrad::test::check_close;
using handgrad::test::check_throws;

namespace {

struct Result {
  std::vector<NamedTensor<double>> state, grads;
  Tensor<double> y, evaluated, dx;
};

Result train(int k, bool synchronised, const std::vector<std::size_t>& from, Reduction reduction,
             BatchNormOptions options, std::size_t bucket_bytes = 1 << 20) {
  manual_seed(8);
  const std::size_t N = from.back();
  const Tensor<double> x = randn<double>({N, 3}), target = randn<double>({N, 2});
  Result result{{}, {}, zeros<double>({N, 2}), zeros<double>({N, 2}), zeros<double>({N, 3})};
  run_ranks(k, [&](Communicator& ranks) {
    Sequential<double> net;
    net.push_back(std::make_shared<Linear<double>>(3, 4));
    if (synchronised)
      net.push_back(std::make_shared<SyncBatchNorm<double>>(4, ranks, options));
    else
      net.push_back(std::make_shared<BatchNorm1d<double>>(4, options));
    net.push_back(std::make_shared<Tanh<double>>());
    net.push_back(std::make_shared<Linear<double>>(4, 2));
    net.requires_input_grad(true);
    DataParallel<double> parallel(net, ranks, {.bucket_bytes = bucket_bytes});
    SGD<double> sgd(net.parameters(), {.lr = 0.1});
    MSELoss<double> loss(reduction);
    const auto r = static_cast<std::size_t>(ranks.rank());
    const std::size_t begin = k == 1 ? 0 : from[r], end = k == 1 ? N : from[r + 1];
    for (int step = 0; step < 3; ++step) {
      sgd.zero_grad();
      const Tensor<double>& y = net.forward(x.rows(begin, end));
      loss.forward(y, target.rows(begin, end));
      result.y.rows(begin, end).copy_from(y);
      const Tensor<double>& dx = net.backward(loss.backward());
      // In terms of the total loss: ∂L/∂x = (nᵣ/N)·∂Lᵣ/∂x
      const double share = reduction == Reduction::Sum ? 1 : static_cast<double>(end - begin) / static_cast<double>(N);
      result.dx.rows(begin, end).xt() = share * dx.xt();
      sgd.step();
    }
    net.eval();
    result.evaluated.rows(begin, end).copy_from(net.forward(x.rows(begin, end)));
    if (r > 0) return;
    result.state = net.state_dict();
    for (const auto& [name, parameter] : net.named_parameters())
      result.grads.emplace_back(name, parameter.grad().clone());
  });
  return result;
}

}  // namespace

BOOST_AUTO_TEST_CASE(as_one_rank_with_all_rows) {
  for (const Reduction reduction : {Reduction::Mean, Reduction::Sum})
    for (const BatchNormOptions& options :
         {BatchNormOptions{}, BatchNormOptions{.momentum = std::nullopt}, BatchNormOptions{.affine = false},
          BatchNormOptions{.track_running_stats = false}}) {
      const std::vector<std::size_t> two{0, 3, 11}, three{0, 1, 6, 11};  // uneven, and a single row
      const Result one = train(1, false, two, reduction, options);
      for (const auto& [k, bytes] : {std::pair{1, 1 << 20}, {2, 1 << 20}, {3, 1 << 20}, {2, 8}, {3, 8}}) {
        const Result several =
            train(k, true, k == 3 ? three : two, reduction, options, static_cast<std::size_t>(bytes));
        const std::string what = " on " + std::to_string(k) + " in pieces of " + std::to_string(bytes);
        check_close(several.y, one.y, 1e-12, "y" + what);
        check_close(several.dx, one.dx, 1e-12, "dx" + what);
        if (options.track_running_stats) check_close(several.evaluated, one.evaluated, 1e-12, "evaluated" + what);
        BOOST_TEST_REQUIRE(several.state.size() == one.state.size());
        for (std::size_t i = 0; i < one.state.size(); ++i) {
          BOOST_TEST(several.state[i].first == one.state[i].first);
          check_close(several.state[i].second, one.state[i].second, 1e-12, one.state[i].first + what);
        }
        for (std::size_t i = 0; i < one.grads.size(); ++i)
          check_close(several.grads[i].second, one.grads[i].second, 1e-12, "d" + one.grads[i].first + what);
      }
    }
}

// Ranks without batches follow those that have some: the parameters and running statistics of one rank with all rows.
// In pieces of 8 bytes, gradients are summed in a second thread while the norms sum in the first.
BOOST_AUTO_TEST_CASE(ranks_out_of_data_join) {
  manual_seed(12);
  const Tensor<double> x = randn<double>({5 * 15, 3}), y = randn<double>({5 * 15, 2});
  const auto make = [](const std::function<std::shared_ptr<Layer<double>>(std::size_t)>& norm) {
    auto net = std::make_shared<Sequential<double>>();
    net->push_back(std::make_shared<Linear<double>>(3, 4));
    net->push_back(norm(4));
    net->push_back(std::make_shared<Tanh<double>>());
    net->push_back(std::make_shared<Linear<double>>(4, 6));
    net->push_back(norm(6));
    net->push_back(std::make_shared<Linear<double>>(6, 2));
    return net;
  };
  const std::size_t batches[] = {5, 2, 1};  // of 5 rows, in steps of 15, 10, 5, 5, 5
  for (const Reduction reduction : {Reduction::Mean, Reduction::Sum}) {
    auto one = make([](std::size_t n) { return std::make_shared<BatchNorm1d<double>>(n); });
    run_ranks(1, [&](Communicator&) {
      manual_seed(13);
      one = make([](std::size_t n) { return std::make_shared<BatchNorm1d<double>>(n); });
      SGD<double> sgd(one->parameters(), {.lr = 0.01});
      MSELoss<double> loss(reduction);
      for (std::size_t step = 0; step < 5; ++step) {
        const std::size_t rows = step == 0 ? 15 : step == 1 ? 10 : 5;
        sgd.zero_grad();
        loss.forward(one->forward(x.rows(15 * step, 15 * step + rows)), y.rows(15 * step, 15 * step + rows));
        one->backward(loss.backward());
        sgd.step();
      }
    });
    for (const std::size_t bytes : {std::size_t{8}, std::size_t{1} << 20})
      run_ranks(3, [&](Communicator& ranks) {
        manual_seed(13);
        auto net = make([&](std::size_t n) { return std::make_shared<SyncBatchNorm<double>>(n, ranks); });
        DataParallel<double> parallel(*net, ranks, {.bucket_bytes = bytes});
        SGD<double> sgd(net->parameters(), {.lr = 0.01});
        MSELoss<double> loss(reduction);
        const auto rank = static_cast<std::size_t>(ranks.rank());
        for (std::size_t step = 0; step < batches[rank]; ++step) {
          const std::size_t at = 15 * step + 5 * rank;
          sgd.zero_grad();
          loss.forward(net->forward(x.rows(at, at + 5)), y.rows(at, at + 5));
          net->backward(loss.backward());
          sgd.step();
        }
        parallel.join([&] { sgd.step(); });
        const auto state = net->state_dict(), expected = one->state_dict();
        const auto turn = handgrad::test::one_at_a_time();
        for (std::size_t i = 0; i < state.size(); ++i)
          check_close(state[i].second, expected[i].second, 1e-12,
                      state[i].first + " on rank " + std::to_string(rank) + ", pieces of " + std::to_string(bytes));
      });
  }
}

// A rank that never had a batch: with one norm it follows, with several it cannot know their order.
BOOST_AUTO_TEST_CASE(a_rank_without_any_batch) {
  for (const int norms : {1, 2}) {
    const auto train = [&] {
      run_ranks(2, [&](Communicator& ranks) {
        manual_seed(14);
        Sequential<double> net{Linear<double>(3, 2)};
        for (int i = 0; i < norms; ++i) net.push_back(std::make_shared<SyncBatchNorm<double>>(2, ranks));
        DataParallel<double> parallel(net, ranks);
        SGD<double> sgd(net.parameters(), {.lr = 0.1});
        for (int step = 0; ranks.rank() == 0 && step < 3; ++step) {
          sgd.zero_grad();
          net.forward(randn<double>({4, 3}));
          net.backward(randn<double>({4, 2}));
          sgd.step();
        }
        parallel.join([&] { sgd.step(); });
        std::vector<double> mine;
        for (const auto& [name, value] : net.state_dict())
          for (const double w : value.to_vector()) mine.push_back(w);
        const std::vector<double> all = all_gather(ranks, std::span<const double>(mine));
        const auto turn = handgrad::test::one_at_a_time();
        for (std::size_t i = 0; i < all.size(); ++i) BOOST_TEST(all[i] == mine[i % mine.size()]);
      });
    };
    if (norms == 1)
      train();
    else
      check_throws<StateError>(train, {"rank 1", "has had no batch", "2 SyncBatchNorms"});
  }
}

BOOST_AUTO_TEST_CASE(its_gradient_on_one_rank) {
  run_ranks(1, [](Communicator& ranks) {
    manual_seed(9);
    for (const Shape& shape : {Shape{2, 1}, Shape{5, 3}, Shape{17, 4}}) {
      SyncBatchNorm<double> layer(shape[1], ranks);
      HANDGRAD_CHECK_GRADIENTS(layer, randn<double>(shape));
      layer.eval();
      HANDGRAD_CHECK_GRADIENTS(layer, randn<double>(shape));
    }
  });
}

BOOST_AUTO_TEST_CASE(wrong_shapes) {
  run_ranks(1, [](Communicator& ranks) {
    SyncBatchNorm<float> layer(3, ranks);
    check_throws<ShapeError>([&] { layer.forward(ones({1, 3})); }, {"one row", "no variance"});
    check_throws<ShapeError>([&] { layer.forward(ones({2, 4})); }, {"(rows, 3) expected", "(2, 4)"});
    check_throws<ValueError>([&] { SyncBatchNorm<float>(0, ranks); }, {"at least one feature"});
  });
}
