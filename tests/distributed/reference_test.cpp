// Against PyTorch's DistributedSampler and DistributedDataParallel (gloo).
#include "support/reference.hpp"
#include "handgrad/base/xtensor.hpp"
#include "handgrad/containers/sequential.hpp"
#include "handgrad/data/dataset.hpp"
#include "handgrad/data/distributed_sampler.hpp"
#include "handgrad/data/loader.hpp"
#include "handgrad/distributed/data_parallel.hpp"
#include "handgrad/distributed/in_process.hpp"
#include "handgrad/layers/activations.hpp"
#include "handgrad/layers/linear.hpp"
#include "handgrad/losses/cross_entropy.hpp"
#include "handgrad/optim/clip_grad.hpp"
#include "handgrad/optim/sgd.hpp"
#include "support/check.hpp"

using namespace handgrad;
using handgrad::test::check_close;
using handgrad::test::check_throws;
using handgrad::test::Reference;

BOOST_AUTO_TEST_CASE(samplers_give_pytorchs_indices) {
  for (const Reference& c : Reference::file("distributed")["samplers"]) {
    const auto number = [&](const char* key) { return static_cast<int>(c[key].number()); };
    DistributedSampler sampler(
        static_cast<std::size_t>(number("n")), number("world"), number("rank"),
        {.shuffle = c.flag("shuffle", false), .seed = 5, .drop_last = c.flag("drop_last", false)});
    sampler.set_epoch(2);
    const std::vector<std::size_t> expected = c["indices"].indices();
    BOOST_TEST(sampler.indices() == expected, c.where());
    BOOST_TEST(sampler.size() == expected.size(), c.where());
  }
}

BOOST_AUTO_TEST_CASE(training_gives_ddps_numbers) {
  const Reference reference = Reference::file("distributed");
  const Tensor<double> x = reference["x"].tensor<double>(), y = reference["y"].tensor<double>();
  for (const Reference& c : reference["trainings"]) {
    const int world = static_cast<int>(c["world"].number());
    run_ranks(world, [&](Communicator& ranks) {
      Sequential<double> net{Linear<double>(5, 7), ReLU<double>(), Linear<double>(7, 6), Tanh<double>(),
                             Linear<double>(6, 3)};
      std::vector<NamedTensor<double>> state;
      for (const auto& [name, value] : net.state_dict())
        state.emplace_back(name, reference["state"][name.c_str()].tensor<double>());
      net.load_state_dict(state);
      DataParallel<double> parallel(net, ranks);
      CrossEntropyLoss<double> loss;
      SGD<double> sgd(net.parameters(), {.lr = 0.3, .momentum = 0.9});
      for (std::size_t step = 0; step < x.size(0); ++step) {
        const std::size_t rows = x.size(1);
        const auto share = [&](const Tensor<double>& all, const Shape& shape) {
          return parallel.share(all.rows(step, step + 1).reshape(shape));
        };
        const double value = loss.forward(net.forward(share(x, {rows, 5})), share(y, {rows})).item();
        const double mean = all_reduce(ranks, value) / world;
        sgd.zero_grad();
        net.backward(loss.backward());
        clip_grad_norm_(net.parameters(), 0.8);
        sgd.step();
        if (ranks.rank() == 0)
          check_close(std::vector<double>{mean}, std::vector<double>{c["losses"][step].number()}, 1e-12, "loss");
      }
      if (ranks.rank() > 0) return;
      for (const auto& [name, value] : net.state_dict())
        check_close(value, c["state"][name.c_str()].tensor<double>(), 1e-12, name + " on " + std::to_string(world));
    });
  }
}

// Not in PyTorch: without padding each example comes once.
BOOST_AUTO_TEST_CASE(without_padding) {
  for (const std::size_t n : {4, 10, 11})
    for (const int world : {1, 2, 3, 4}) {
      std::vector<int> seen(n);
      for (int rank = 0; rank < world; ++rank) {
        const DistributedSampler sampler(n, world, rank, {.pad = false});
        BOOST_TEST(sampler.indices().size() == sampler.size());
        for (const std::size_t i : sampler.indices()) ++seen[i];
      }
      BOOST_TEST(seen == std::vector<int>(n, 1), boost::test_tools::per_element());
    }
}

BOOST_AUTO_TEST_CASE(a_loader_follows_its_sampler) {
  const Tensor<float> x = linspace<float>(0, 22, 23).reshape({23, 1});
  const TensorDataset<float> data(x, x);
  for (int rank = 0; rank < 3; ++rank) {
    DistributedSampler sampler(23, 3, rank, {.seed = 7});
    DataLoader loader(data, {.batch_size = 3, .sampler = &sampler});
    BOOST_TEST(loader.size() == 3u);
    BOOST_TEST(loader.last_batch_size() == 2u);
    std::vector<std::vector<std::size_t>> epochs;
    for (std::size_t epoch = 0; epoch < 2; ++epoch) {
      sampler.set_epoch(epoch);
      std::vector<std::size_t> met;
      for (auto& [xs, ys] : loader)
        for (std::size_t i = 0; i < xs.numel(); ++i) met.push_back(static_cast<std::size_t>(xs.data()[i]));
      BOOST_TEST(met == sampler.indices());
      epochs.push_back(met);
    }
    BOOST_TEST(epochs[0] != epochs[1]);
  }
  DistributedSampler sampler(23, 3, 0), other(22, 3, 0);
  check_throws<ValueError>([&] { DataLoader(data, {.shuffle = true, .sampler = &sampler}); }, {"shuffle"});
  check_throws<ValueError>([&] { DataLoader(data, {.sampler = &other}); }, {"22 examples", "23"});
  check_throws<ValueError>([] { DistributedSampler(5, 2, 2); }, {"rank 2 of 2"});
  check_throws<ValueError>([] { DistributedSampler(2, 3, 2, {.pad = false}); }, {"none for rank 2 of 3"});
}
