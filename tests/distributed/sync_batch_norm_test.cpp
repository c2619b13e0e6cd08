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

using namespace handgrad;
using handgrad::test::check_close;
using handgrad::test::check_throws;

namespace {

struct Result {
  std::vector<NamedTensor<double>> state, grads;
  Tensor<double> y, evaluated, dx;
};

Result train(int k, bool synchronised, const std::vector<std::size_t>& from, Reduction reduction,
             BatchNormOptions options) {
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
    DataParallel<double> parallel(net, ranks);
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
      for (const int k : {1, 2, 3}) {
        const Result several = train(k, true, k == 3 ? three : two, reduction, options);
        const std::string what = " on " + std::to_string(k);
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
