// Run under mpirun: sums, and training like one rank on all the rows.
#include <unistd.h>

#include <algorithm>
#include <boost/test/unit_test.hpp>
#include <cmath>
#include <numeric>

#include "handgrad/distributed/mpi.hpp"
#include "handgrad/handgrad.hpp"

using namespace handgrad;

namespace {

Communicator& world() { return mpi::world(); }

/// Rank r's part of a sum.
template <class T>
std::vector<T> brought(int rank, std::size_t count) {
  std::vector<T> x(count);
  for (std::size_t i = 0; i < count; ++i)
    x[i] = static_cast<T>(std::sin(1.0 + static_cast<double>(i * 5) + rank * 0.7));
  return x;
}

template <class T>
void sums() {
  for (const std::size_t count : {0, 1, 7, 1000, 100001}) {
    std::vector<T> chain = brought<T>(0, count);
    for (int r = 1; r < world().size(); ++r) {
      const std::vector<T> next = brought<T>(r, count);
      for (std::size_t i = 0; i < count; ++i) chain[i] += next[i];
    }
    for (const bool deterministic : {true, false}) {
      world().set_deterministic(deterministic);
      std::vector<T> x = brought<T>(world().rank(), count);
      world().all_reduce(std::span<T>(x));
      double worst = 0;
      for (std::size_t i = 0; i < count; ++i) worst = std::max(worst, std::abs(double(x[i]) - double(chain[i])));
      BOOST_TEST(worst <= (deterministic ? 0 : sizeof(T) == 4 ? 1e-6 : 1e-14), count << " elements, " << worst);
    }
    world().set_deterministic(true);
  }
}

std::vector<double> train(Communicator* ranks, std::size_t bucket_bytes, std::vector<double>& losses) {
  manual_seed(3);
  const Tensor<double> x = randn<double>({4 * 29, 5}), y = randn<double>({4 * 29, 2});
  Sequential<double> net{Linear<double>(5, 40), ReLU<double>(), Linear<double>(40, 40), Tanh<double>(),
                         Linear<double>(40, 2)};
  MSELoss<double> loss;
  Adam<double> adam(net.parameters(), {.lr = 0.01});
  std::optional<DataParallel<double>> parallel;
  if (ranks) parallel.emplace(net, *ranks, DataParallelOptions{.bucket_bytes = bucket_bytes});
  for (std::size_t step = 0; step < 4; ++step) {
    Tensor<double> xs = x.rows(step * 29, step * 29 + 29), ys = y.rows(step * 29, step * 29 + 29);
    if (ranks) xs = parallel->share(xs), ys = parallel->share(ys);
    const double value = loss.forward(net.forward(xs), ys).item(), rows = static_cast<double>(xs.size(0));
    losses.push_back(ranks ? all_reduce(*ranks, value * rows) / 29 : value);
    adam.zero_grad();
    net.backward(loss.backward());
    clip_grad_norm_(net.parameters(), 0.5);
    adam.step();
  }
  std::vector<double> all;
  for (const auto& [name, value] : net.state_dict())
    for (const double w : value.to_vector()) all.push_back(w);
  return all;
}

}  // namespace

BOOST_AUTO_TEST_CASE(sums_in_the_order_of_the_ranks) {
  sums<float>();
  sums<double>();
}

/// With weights and a factor, in memory of the rank's own and, on one machine, in memory that the ranks share.
template <class T>
void weighted_sums() {
  const auto weight = [](int rank) { return static_cast<T>(3 + rank * 0.37); };
  const T factor = static_cast<T>(1 / 7.1);
  for (const std::size_t count : {1, 7, 1000, 100001}) {
    std::vector<T> expected = brought<T>(0, count);
    for (T& x : expected) x *= weight(0);
    for (int r = 1; r < world().size(); ++r) {
      const std::vector<T> next = brought<T>(r, count);
      for (std::size_t i = 0; i < count; ++i) expected[i] += weight(r) * next[i];
    }
    for (T& x : expected) x *= factor;
    const std::shared_ptr<void> shared = world().memory(3 * sizeof(T) + count * sizeof(T));
    std::vector<T> own(count);
    for (T* x : {own.data(), shared ? static_cast<T*>(shared.get()) + 3 : own.data()}) {
      const std::vector<T> mine = brought<T>(world().rank(), count);
      std::copy(mine.begin(), mine.end(), x);
      world().all_reduce(std::span<T>(x, count), weight(world().rank()), factor);
      BOOST_TEST(std::equal(expected.begin(), expected.end(), x), count << (x == own.data() ? "" : ", shared"));
    }
  }
}

BOOST_AUTO_TEST_CASE(weighted_sums_in_the_order_of_the_ranks) {
  weighted_sums<float>();
  weighted_sums<double>();
}

// The ranks of one machine share memory, zeros at first; those of several do not.
BOOST_AUTO_TEST_CASE(memory_of_one_machine) {
  char name[256] = "";
  gethostname(name, sizeof name - 1);
  const std::vector<std::string> hosts = all_gather(world(), std::string(name));
  const bool one_machine = std::count(hosts.begin(), hosts.end(), hosts[0]) == world().size();
  const std::shared_ptr<void> memory = world().memory(12345);
  BOOST_TEST((memory != nullptr) == (one_machine && world().size() > 1));
  if (!memory) return;
  const auto* bytes = static_cast<const unsigned char*>(memory.get());
  BOOST_TEST(std::count(bytes, bytes + 12345, 0) == 12345);
}

BOOST_AUTO_TEST_CASE(broadcast_and_gather) {
  for (int root = 0; root < world().size(); ++root) {
    Tensor<float> x = full<float>({3, 2}, static_cast<float>(world().rank()));
    world().broadcast(x, root);
    BOOST_TEST((x == full<float>({3, 2}, static_cast<float>(root))));
  }
  world().barrier();
  const auto texts = all_gather(world(), std::string(static_cast<std::size_t>(world().rank()), 'x'));
  for (std::size_t r = 0; r < texts.size(); ++r) BOOST_TEST(texts[r].size() == r);
  BOOST_TEST(all_reduce(world(), 1.0) == world().size());
}

BOOST_AUTO_TEST_CASE(ranks_train_as_one) {
  std::vector<double> losses_one;
  const std::vector<double> one = train(nullptr, 0, losses_one);
  std::vector<double> first;
  for (const std::size_t bytes : {std::size_t{1} << 20, std::size_t{256}, std::size_t{1} << 20}) {
    std::vector<double> losses;
    const std::vector<double> several = train(&world(), bytes, losses);
    double worst = 0;
    for (std::size_t i = 0; i < one.size(); ++i) worst = std::max(worst, std::abs(several[i] - one[i]));
    for (std::size_t i = 0; i < losses.size(); ++i)
      worst = std::max(worst, std::abs(losses[i] - losses_one[i]) / losses_one[i]);
    BOOST_TEST(worst < 1e-12, "pieces of " << bytes << ": " << worst);
    if (first.empty()) first = several;
    BOOST_TEST((several == first), "a run again, in pieces of " << bytes << ", has the same bits");
  }
}

// On all ranks, and at once: none is left waiting.
BOOST_AUTO_TEST_CASE(what_does_not_fit_together_is_refused) {
  if (world().size() == 1) return;
  const bool other = world().rank() == 1;
  const auto says = [](const char* words) {
    return [words](const Error& error) { return std::string(error.what()).find(words) != std::string::npos; };
  };
  manual_seed(4);
  Sequential<float> wide{Linear<float>(2, other ? 5 : 4)}, net{Linear<float>(2, 1)};
  BOOST_CHECK_EXCEPTION((DataParallel<float>(wide, world())), ValueError,
                        says("rank 1 has the parameter or buffer 0.weight (5, 2)"));
  manual_seed(other ? 5 : 4);
  BOOST_CHECK_EXCEPTION((DataParallel<float>(net, world())), ValueError,
                        says("rank 1 has the seed 5, rank 0 has 4; manual_seed(n) with the same n"));
  const DataParallel<float> own_seeds(net, world(), {.same_seed = false});

  manual_seed(4);
  DataParallel<float> parallel(net, world());
  MSELoss<float> loss;
  SGD<float> sgd(net.parameters(), {.lr = 0.1});
  DataLoader<float> loader(TensorDataset<float>(ones({6, 2}), ones({6, 1})), {.batch_size = other ? 3u : 2u});
  BOOST_CHECK_EXCEPTION((fit(net, loss, sgd, loader, FitOptions<float>{.parallel = &parallel, .progress = false})),
                        ValueError, says("fit: rank 1 has a training of 2 batches, rank 0 has 3 batches"));
}

// Rank r has 3·(r+1) batches: those without follow the others' steps, and all have the same parameters in the end.
BOOST_AUTO_TEST_CASE(ranks_out_of_data_join) {
  for (const std::size_t bytes : {std::size_t{8}, std::size_t{1} << 20}) {
    manual_seed(4);
    Sequential<double> net{Linear<double>(3, 5), Tanh<double>(), Linear<double>(5, 1)};
    DataParallel<double> parallel(net, world(), {.bucket_bytes = bytes});
    MSELoss<double> loss;
    Adam<double> adam(net.parameters(), {.lr = 0.01});
    const Tensor<double> x = randn<double>({4, 3}), y = ones<double>({4, 1});
    int steps = 0;
    for (; steps < 3 * (world().rank() + 1); ++steps) {
      loss.forward(net.forward(x), y);
      adam.zero_grad();
      net.backward(loss.backward());
      adam.step();
    }
    parallel.join([&] { adam.step(), ++steps; });
    BOOST_TEST(steps == 3 * world().size());
    std::vector<double> mine;
    for (const auto& [name, value] : net.state_dict())
      for (const double w : value.to_vector()) mine.push_back(w);
    const std::vector<double> all = all_gather(world(), std::span<const double>(mine));
    for (std::size_t i = 0; i < all.size(); ++i) BOOST_TEST(all[i] == mine[i % mine.size()]);
  }
}
