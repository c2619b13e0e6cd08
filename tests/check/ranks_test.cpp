// Planted mistakes of data-parallel training: each is found and rightly named.
#include "handgrad/check/ranks.hpp"

#include <sstream>

#include "handgrad/base/random.hpp"
#include "handgrad/base/xtensor.hpp"
#include "handgrad/containers/sequential.hpp"
#include "handgrad/distributed/data_parallel.hpp"
#include "handgrad/distributed/sync_batch_norm.hpp"
#include "handgrad/layers/activations.hpp"
#include "handgrad/layers/linear.hpp"
#include "handgrad/losses/cross_entropy.hpp"
#include "handgrad/losses/mse.hpp"
#include "support/check.hpp"

using namespace handgrad;
using handgrad::test::check_throws;

namespace {

enum class Norm { None, Own, Synchronised };

template <class T>
auto net_with(Norm norm) {
  return [norm](Communicator& ranks) -> std::shared_ptr<Layer<T>> {
    auto net = std::make_shared<Sequential<T>>();
    net->push_back(std::make_shared<Linear<T>>(3, 5));
    if (norm == Norm::Own) net->push_back(std::make_shared<BatchNorm1d<T>>(5));
    if (norm == Norm::Synchronised) net->push_back(std::make_shared<SyncBatchNorm<T>>(5, ranks));
    net->push_back(std::make_shared<Tanh<T>>());
    net->push_back(std::make_shared<Linear<T>>(5, 2));
    return net;
  };
}
template <class T>
std::unique_ptr<Loss<T>> mse() {
  return std::make_unique<MSELoss<T>>();
}

/// A user's own step: gᵣ times factor(rank, rows), summed, divided by `divisor`.
RankStep<double> own_step(const std::function<double(int, double)>& factor, double divisor) {
  return [=](Layer<double>& net, Loss<double>& loss, Communicator& ranks, const Tensor<double>& x,
             const Tensor<double>& y) {
    loss.forward(net.forward(x), y);
    net.backward(loss.backward());
    for (Parameter<double>& parameter : net.parameters()) {
      Tensor<double>& grad = parameter.accumulate().first;
      grad.xt() *= factor(ranks.rank(), static_cast<double>(x.size(0)));
      ranks.all_reduce(grad);
      grad.xt() /= divisor;
    }
  };
}

struct Batch {
  Batch() { manual_seed(10); }
  Tensor<double> x = (manual_seed(10), randn<double>({24, 3})), y = randn<double>({24, 2});
};

RankReport of(const RankStep<double>& step, Norm norm = Norm::None) {
  const Batch batch;
  return check_ranks<double>(net_with<double>(norm), mse<double>, batch.x, batch.y, step);
}

}  // namespace

BOOST_AUTO_TEST_CASE(what_is_right_passes) {
  BOOST_TEST(of({}).passed(), of({}));
  BOOST_TEST(of({}, Norm::Synchronised).passed(), of({}, Norm::Synchronised));
  const RankStep<double> own = own_step([](int, double rows) { return rows; }, 24);
  BOOST_TEST(of(own).passed(), of(own));
  manual_seed(11);
  const Tensor<float> x = randn({24, 3}), y = randn({24, 2});
  BOOST_TEST(check_ranks<float>(net_with<float>(Norm::Synchronised), mse<float>, x, y, {}, {.ranks = 4}).passed());
  std::ostringstream text;
  text << of({});
  BOOST_TEST((text.str().find("those of one rank on all the rows") != std::string::npos));
}

BOOST_AUTO_TEST_CASE(mistakes_are_named) {
  const auto rows = [](int, double n) { return n; };
  const auto one = [](int, double) { return 1.0; };
  struct Case {
    RankCause cause;
    RankStep<double> step;
    const char* text;
    int rank = -1;
    Norm norm = Norm::None;
  };
  const Case cases[] = {
      {RankCause::MeanOfMeans, own_step(one, 3), "the mean of the ranks' means"},
      {RankCause::NotDivided, own_step(one, 1), "not divided by the number of ranks"},
      {RankCause::NotDivided, own_step(rows, 8), "k times"},
      {RankCause::DividedTwice, own_step(rows, 72), "1/k"},
      {RankCause::RankLeftOut, own_step([](int r, double n) { return r == 1 ? 0 : n; }, 24), "without rank 1's", 1},
      {RankCause::RankLeftOut, own_step([](int r, double n) { return r == 2 ? 0 : n; }, 12), "without rank 2's", 2},
      {RankCause::RankLeftOut, own_step([](int r, double) { return r == 0 ? 0 : 1.0; }, 2), "without rank 0's", 0},
      {RankCause::LocalStatistics, {}, "each rank's own rows", -1, Norm::Own},
      {RankCause::NotSummed,
       [](auto& net, auto& loss, Communicator&, const auto& x, const auto& y) {
         loss.forward(net.forward(x), y);
         net.backward(loss.backward());
       },
       "not summed"},
      {RankCause::RanksDiffer,
       [](auto& net, auto& loss, Communicator& ranks, const auto& x, const auto& y) {
         DataParallel<double> parallel(net, ranks);
         loss.forward(net.forward(x), y);
         net.backward(loss.backward());
         if (ranks.rank() == 2) net.parameters()[0].accumulate().first.fill(0);
       },
       "rank 2 has other gradients", 2},
      {RankCause::Unknown,
       [](auto& net, auto& loss, Communicator& ranks, const auto& x, const auto& y) {
         DataParallel<double> parallel(net, ranks);
         loss.forward(net.forward(x), y);
         net.backward(loss.backward());
         net.parameters()[0].accumulate().first.fill(0);
       },
       "which are not those"},
  };
  for (const Case& c : cases) {
    const RankReport report = of(c.step, c.norm);
    BOOST_TEST(!report.passed());
    BOOST_TEST((report.cause == c.cause), c.text << " expected, came: " << report);
    BOOST_TEST((report.diagnosis.find(c.text) != std::string::npos), c.text << " in " << report.diagnosis);
    BOOST_TEST(report.rank == c.rank, c.text);
    BOOST_TEST(!report.worst_tensor.empty());
  }
}

BOOST_AUTO_TEST_CASE(too_few_rows) {
  check_throws<ValueError>(
      [] {
        check_ranks<double>(net_with<double>(Norm::None), mse<double>, ones<double>({5, 3}), ones<double>({5, 2}));
      },
      {"3 ranks and 5 rows", "k(k+1)/2"});
}
