// Work done meanwhile by a second thread: the results equal those of doing it in order, on any number of threads.
#include "common/later.hpp"

#include <atomic>
#include <boost/test/unit_test.hpp>
#include <chrono>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include "handgrad/handgrad.hpp"

using namespace handgrad;
using handgrad::labs::Later;
using handgrad::labs::later;

namespace {

/// The parameters of a network with dropout after some steps on shuffled batches.
std::vector<float> trained(std::uint64_t seed) {
  manual_seed(seed);
  Sequential net{Linear(20, 64), ReLU(), Dropout(0.5), Linear(64, 1)};
  const Tensor<float> x = randn({512, 20}), y = randint(0, 2, {512, 1});
  BCEWithLogitsLoss loss;
  SGD sgd(net.parameters(), {.lr = 0.1});
  DataLoader loader(TensorDataset(x, y), {.batch_size = 128, .shuffle = true});
  for (int epoch = 0; epoch < 5; ++epoch)
    for (const auto& [rows, targets] : loader) {
      loss.forward(net.forward(rows), targets);
      sgd.zero_grad();
      net.backward(loss.backward());
      sgd.step();
    }
  std::vector<float> all;
  for (const auto& [name, value] : net.state_dict())
    for (const float v : value.to_vector()) all.push_back(v);
  return all;
}

struct Threads {
  int before = num_threads();
  explicit Threads(int n) { set_num_threads(n); }
  ~Threads() { set_num_threads(before); }
};

}  // namespace

BOOST_AUTO_TEST_CASE(trainings_side_by_side_have_the_bits_of_trainings_one_after_the_other) {
  std::vector<std::vector<float>> in_order;
  for (std::uint64_t seed = 0; seed < 4; ++seed) in_order.push_back(trained(seed));
  for (const int threads : {1, 2, 4}) {
    const Threads guard(threads);
    std::vector<Later<std::vector<float>>> runs;
    for (std::uint64_t seed = 1; seed < 4; ++seed) runs.push_back(later([seed] { return trained(seed); }));
    BOOST_TEST((trained(0) == in_order[0]));
    for (std::size_t i = 0; i < runs.size(); ++i) BOOST_TEST((runs[i].get() == in_order[i + 1]));
    BOOST_TEST(num_threads() == threads);
  }
}

BOOST_AUTO_TEST_CASE(a_second_thread_works_meanwhile) {
  const Threads guard(2);
  std::atomic<bool> done{false};
  auto elsewhere = later([&] {
    done = true;
    return std::this_thread::get_id();
  });
  while (!done) std::this_thread::yield();
  BOOST_TEST((elsewhere.get() != std::this_thread::get_id()));
}

BOOST_AUTO_TEST_CASE(with_one_thread_get_does_the_work) {
  const Threads guard(1);
  auto here = later([] { return std::this_thread::get_id(); });
  std::this_thread::sleep_for(std::chrono::milliseconds(20));
  BOOST_TEST((here.get() == std::this_thread::get_id()));
}

BOOST_AUTO_TEST_CASE(what_computes_on_a_GPU_is_left_to_get) {
  const Threads guard(2);
  auto here = later([] { return std::this_thread::get_id(); }, Device::parse("cuda"));
  std::this_thread::sleep_for(std::chrono::milliseconds(20));
  BOOST_TEST((here.get() == std::this_thread::get_id()));
}

BOOST_AUTO_TEST_CASE(what_it_throws_comes_with_the_result) {
  for (const int threads : {1, 2}) {
    const Threads guard(threads);
    auto fails = later([]() -> int { throw std::runtime_error("a reason"); });
    auto works = later([] { return 1; });
    BOOST_CHECK_EXCEPTION(fails.get(), std::runtime_error,
                          [](const auto& e) { return e.what() == std::string("a reason"); });
    BOOST_TEST(works.get() == 1);
  }
}

BOOST_AUTO_TEST_CASE(what_nobody_asks_for_is_dropped_or_ended) {
  const Threads guard(2);
  std::atomic<bool> begun{false}, go_on{false}, ended{false};
  std::atomic<int> later_ones{0};
  {
    auto first = later([&] {
      begun = true;
      while (!go_on) std::this_thread::yield();
      ended = true;
      return 0;
    });
    while (!begun) std::this_thread::yield();
    {
      auto dropped = later([&] { return ++later_ones; });
    }
    go_on = true;
  }
  BOOST_TEST(ended);  // what it refers to outlives it
  BOOST_TEST(later([&] { return later_ones.load(); }).get() == 0);
}
