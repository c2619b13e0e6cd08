// Ranks that have a GPU each: gradients through the host and by NCCL, and SyncBatchNorm there. With one device all
// ranks share it, and NCCL, which wants one each, is skipped by name.
#include "handgrad/base/random.hpp"
#include "handgrad/base/xtensor.hpp"
#include "handgrad/containers/sequential.hpp"
#include "handgrad/distributed/data_parallel.hpp"
#include "handgrad/distributed/in_process.hpp"
#include "handgrad/distributed/nccl.hpp"
#include "handgrad/distributed/sync_batch_norm.hpp"
#include "handgrad/layers/activations.hpp"
#include "handgrad/layers/linear.hpp"
#include "handgrad/losses/cross_entropy.hpp"
#include "handgrad/losses/mse.hpp"
#include "handgrad/optim/clip_grad.hpp"
#include "handgrad/optim/sgd.hpp"
#include "support/check.hpp"
#include "support/typed.hpp"

using namespace handgrad;
using handgrad::test::check_close;
using handgrad::test::check_throws;

namespace {

Device device_of(int rank) { return Device::cuda(rank % device_count()); }

boost::test_tools::assertion_result two_devices(boost::unit_test::test_unit_id id) {
  boost::test_tools::assertion_result result(cuda_available() && device_count() >= 2);
  if (!result) {
    const std::string name = boost::unit_test::framework::get(id, boost::unit_test::TUT_ANY).p_name;
    result.message() << "two CUDA devices wanted";
    BOOST_TEST_MESSAGE("skipped: " << name << ": two CUDA devices wanted");
  }
  return result;
}

struct Options {
  bool nccl = false, sync_batch_norm = false, accumulate = false;
  std::size_t bucket_bytes = std::size_t{1} << 20;
  Reduction reduction = Reduction::Mean;
};

template <class T>
struct Trained {
  std::vector<NamedTensor<T>> state;
  Tensor<T> evaluated;
};

/// Trains on `k` ranks, each on its GPU, on batches of 13 rows of which rank 0 has 5; with k = 0, on the CPU alone.
template <class T>
Trained<T> train(int k, const Options& o) {
  manual_seed(3);
  const Tensor<T> x = randn<T>({3 * 13, 5}), y = randn<T>({3 * 13, 2});
  std::vector<Trained<T>> all(static_cast<std::size_t>(std::max(k, 1)));
  run_ranks(std::max(k, 1), [&](Communicator& host) {
    const int rank = host.rank();
    const Device device = k == 0 ? Device::cpu() : device_of(rank);
    std::optional<NcclCommunicator> between;
    if (o.nccl && k > 0) between.emplace(host, device);
    Communicator& ranks = between ? static_cast<Communicator&>(*between) : host;
    Sequential<T> net;
    net.push_back(std::make_shared<Linear<T>>(5, 9));
    if (o.sync_batch_norm) net.push_back(std::make_shared<SyncBatchNorm<T>>(9, ranks));
    net.push_back(std::make_shared<Tanh<T>>());
    net.push_back(std::make_shared<Linear<T>>(9, 7));
    net.push_back(std::make_shared<ReLU<T>>());
    net.push_back(std::make_shared<Linear<T>>(7, 2));
    net.to(device);
    DataParallel<T> parallel(net, ranks, {.bucket_bytes = o.bucket_bytes});
    MSELoss<T> loss(o.reduction);
    SGD<T> sgd(net.parameters(), {.lr = 0.05, .momentum = 0.9});
    const auto rows = [&](const Tensor<T>& whole, std::size_t step) {
      const std::size_t begin = step * 13 + (k == 2 && rank == 1 ? 5 : 0),
                        end = step * 13 + (k == 2 && rank == 0 ? 5 : 13);
      return whole.rows(begin, end).to(device);
    };
    for (int epoch = 0; epoch < 2; ++epoch)
      for (std::size_t step = 0; step < 3; ++step) {
        if (!o.accumulate || step == 0) sgd.zero_grad();
        std::optional<typename DataParallel<T>::NoSync> alone;
        if (o.accumulate && step < 2) alone.emplace(parallel);
        loss.forward(net.forward(rows(x, step)), rows(y, step));
        net.backward(loss.backward());
        if (o.accumulate && step < 2) continue;
        clip_grad_norm_(net.parameters(), 0.8);
        sgd.step();
      }
    parallel.join([&] { sgd.step(); });
    net.eval();
    Trained<T>& own = all[static_cast<std::size_t>(rank)];
    own.evaluated = net.forward(x.to(device)).cpu().clone();
    for (const auto& [name, value] : net.state_dict()) own.state.emplace_back(name, value.cpu().clone());
  });
  for (const Trained<T>& other : all)
    for (std::size_t i = 0; i < other.state.size(); ++i)
      BOOST_TEST((other.state[i].second == all[0].state[i].second), other.state[i].first);
  return all[0];
}

template <class T>
void check_same(const Trained<T>& actual, const Trained<T>& expected, double tolerance, const std::string& what) {
  check_close(actual.evaluated, expected.evaluated, tolerance, what + ": evaluated");
  BOOST_TEST_REQUIRE(actual.state.size() == expected.state.size());
  for (std::size_t i = 0; i < expected.state.size(); ++i)
    check_close(actual.state[i].second, expected.state[i].second, tolerance, what + ": " + expected.state[i].first);
}

template <class T>
void as_the_cpu(bool nccl, double tolerance) {
  for (const bool sync_batch_norm : {false, true})
    for (const Reduction reduction : {Reduction::Mean, Reduction::Sum})
      for (const bool accumulate : {false, true}) {
        if (sync_batch_norm && (accumulate || reduction == Reduction::Sum)) continue;
        Options o{.nccl = nccl, .sync_batch_norm = sync_batch_norm, .accumulate = accumulate, .reduction = reduction};
        const Trained<T> alone = train<T>(0, o);
        for (const std::size_t bytes : {std::size_t{8}, std::size_t{200}, std::size_t{1} << 20}) {
          o.bucket_bytes = bytes;
          check_same(train<T>(2, o), alone, tolerance,
                     std::string(sync_batch_norm ? "with SyncBatchNorm" : "plain") +
                         (accumulate ? ", accumulated" : "") + (reduction == Reduction::Sum ? ", sum" : "") +
                         ", pieces of " + std::to_string(bytes));
        }
      }
}

}  // namespace

HANDGRAD_TEST_CUDA(through_the_host_two_ranks_train_as_the_cpu_alone) {
  as_the_cpu<typename Place::T>(false, Place::tolerance);
}

BOOST_TEST_DECORATOR(*boost::unit_test::precondition(two_devices))
BOOST_AUTO_TEST_CASE(by_nccl_two_ranks_train_as_the_cpu_alone) {
  as_the_cpu<float>(true, 1e-5);
  as_the_cpu<double>(true, 1e-12);
}

BOOST_TEST_DECORATOR(*boost::unit_test::precondition(two_devices))
BOOST_AUTO_TEST_CASE(by_nccl_a_tensor_is_summed) {
  run_ranks(2, [](Communicator& host) {
    NcclCommunicator ranks(host, device_of(host.rank()));
    Tensor<float> x = full<float>({1000}, static_cast<float>(1 + host.rank())).to(device_of(host.rank()));
    ranks.all_reduce(x);
    BOOST_TEST((x.cpu() == full<float>({1000}, 3.0f)));
    double number = 1;
    ranks.all_reduce(std::span(&number, 1));
    BOOST_TEST(number == 2);
  });
}

BOOST_TEST_DECORATOR(*boost::unit_test::precondition(two_devices))
BOOST_AUTO_TEST_CASE(two_ranks_on_one_gpu_are_refused_by_nccl) {
  check_throws<DeviceError>([] { run_ranks(2, [](Communicator& host) { NcclCommunicator(host, Device::cuda(0)); }); },
                            {"ncclCommInitRank"});
}

// Wherever it is: who lacks a GPU or NCCL ends all ranks with the reason.
BOOST_AUTO_TEST_CASE(a_rank_without_a_gpu_ends_all) {
  check_throws<DeviceError>(
      [] {
        run_ranks(3, [](Communicator& host) {
          NcclCommunicator(
              host, host.rank() == 2 ? Device::cpu() : Device::cuda(device_count() ? host.rank() % device_count() : 0));
        });
      },
      {"NcclCommunicator: rank "});
}
