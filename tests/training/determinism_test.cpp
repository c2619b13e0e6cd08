// The same seed gives the same bits in every run, and with one or two threads in the matrix products.
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <boost/test/unit_test.hpp>
#include <cstring>
#include <thread>

#include "handgrad/handgrad.hpp"
#include "support/check.hpp"

using namespace handgrad;
using handgrad::test::check_throws;

namespace {

/// The losses and the final state of a run: the notebook's regularised network, and a wide one.
template <class T>
std::vector<T> run(std::size_t hidden, std::uint64_t seed = 11) {
  manual_seed(seed);
  Sequential<T> net{Linear<T>(108, hidden), BatchNorm1d<T>(hidden), ReLU<T>(),
                    Dropout<T>(0.5),        Linear<T>(hidden, 128), ReLU<T>(),
                    Linear<T>(128, 1)};
  const Tensor<T> x = randn<T>({700, 108}), y = randint<T>(0, 2, {700, 1});
  BCEWithLogitsLoss<T> loss;
  AdamW<T> adamw(net.parameters());
  DataLoader loader(TensorDataset<T>(x, y), {.batch_size = 128, .shuffle = true});
  std::vector<T> everything;
  for (int epoch = 0; epoch < 3; ++epoch)
    for (const auto& [rows, targets] : loader) {
      everything.push_back(loss.forward(net.forward(rows), targets).item());
      adamw.zero_grad();
      net.backward(loss.backward());
      adamw.step();
    }
  for (const auto& [name, value] : net.state_dict())
    for (const T v : value.to_vector()) everything.push_back(v);
  return everything;
}

template <class T>
std::vector<T> run_with_threads(std::size_t hidden, int threads) {
  set_num_threads(threads);
  return run<T>(hidden);
}

template <class T>
bool same_bits(const std::vector<T>& a, const std::vector<T>& b) {
  return a.size() == b.size() && std::memcmp(a.data(), b.data(), a.size() * sizeof(T)) == 0;
}

}  // namespace

BOOST_AUTO_TEST_CASE(the_same_seed_gives_the_same_bits) {
  for (const std::size_t hidden : {256u, 1024u}) {
    const std::vector<float> first = run_with_threads<float>(hidden, 2);
    BOOST_TEST(same_bits(first, run_with_threads<float>(hidden, 2)));
    BOOST_TEST(same_bits(first, run_with_threads<float>(hidden, 1)));
  }
  BOOST_TEST(same_bits(run_with_threads<double>(256, 2), run_with_threads<double>(256, 1)));
}

BOOST_AUTO_TEST_CASE(networks_train_side_by_side_as_alone) {
  set_num_threads(2);
  const std::array<std::vector<float>, 2> alone{run<float>(256, 21), run<float>(192, 22)};
  std::array<std::vector<float>, 2> together;
  std::array<std::thread, 2> threads;
  for (std::size_t i = 0; i < 2; ++i)
    threads[i] = std::thread([&together, i] {
      Generator own;
      const GeneratorGuard guard(own);
      together[i] = i == 0 ? run<float>(256, 21) : run<float>(192, 22);
    });
  for (std::thread& thread : threads) thread.join();
  BOOST_TEST(same_bits(alone[0], together[0]));
  BOOST_TEST(same_bits(alone[1], together[1]));
}

BOOST_AUTO_TEST_CASE(products_do_not_depend_on_the_number_of_threads) {
  manual_seed(12);
  for (const auto& [m, k, n] :
       std::vector<std::array<std::size_t, 3>>{{128, 108, 256}, {300, 77, 301}, {1000, 300, 7}}) {
    const Tensor<float> a = randn({m, k}), b = randn({k, n});
    set_num_threads(1);
    const Tensor<float> one = matmul(a, b);
    for (const int threads : {2, 3, 7}) {
      set_num_threads(threads);
      BOOST_TEST((matmul(a, b) == one));
    }
    Tensor<double> exact = zeros<double>({m, n});
    exact.xt() = xt::cast<double>(one.xt());
    const Tensor<double> in_double =
        matmul(Tensor<double>(xt::cast<double>(a.xt())), Tensor<double>(xt::cast<double>(b.xt())));
    BOOST_TEST(allclose(exact, in_double, 1e-4, 1e-4));
  }
}

BOOST_AUTO_TEST_CASE(products_in_several_threads_at_once) {
  manual_seed(13);
  const Tensor<float> a = randn({200, 150}), b = randn({150, 220}), expected = matmul(a, b);
  set_num_threads(2);
  std::atomic<int> wrong{0};
  std::vector<std::thread> callers;
  for (int i = 0; i < 3; ++i)
    callers.emplace_back([&] {
      for (int j = 0; j < 30; ++j) wrong += !(matmul(a, b) == expected);
    });
  for (std::thread& caller : callers) caller.join();
  BOOST_TEST(wrong == 0);
}

BOOST_AUTO_TEST_CASE(the_number_of_threads_is_at_least_one) {
  check_throws<ValueError>([] { set_num_threads(0); }, {"at least 1", "0"});
  set_num_threads(3);
  BOOST_TEST(num_threads() == 3);
}

BOOST_AUTO_TEST_CASE(a_forked_child_multiplies_too) {
  const Tensor<float> a = ones({200, 150}), b = ones({150, 220});
  set_num_threads(2);
  matmul(a, b);
  const pid_t child = fork();
  if (child == 0) _exit(matmul(a, b).item(199, 219) == 150 ? 0 : 1);
  int status = -1;
  waitpid(child, &status, 0);
  BOOST_TEST(status == 0);
}

BOOST_AUTO_TEST_CASE(another_seed_gives_others) {
  manual_seed(1);
  const Tensor<float> one = randn({20});
  manual_seed(2);
  BOOST_TEST(!(randn({20}) == one));
}
