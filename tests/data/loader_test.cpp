// The order of the batches against PyTorch's DataLoader, from reference/random.json, and how batches are held.
#include "handgrad/data/loader.hpp"

#include <algorithm>
#include <cstdlib>
#include <new>

#include "handgrad/base/errors.hpp"
#include "support/check.hpp"
#include "support/reference.hpp"
#include "support/typed.hpp"

using namespace handgrad;
using handgrad::test::check_close;
using handgrad::test::check_throws;
using handgrad::test::Reference;

namespace {
std::size_t allocations = 0;
}

[[gnu::noinline]] void* operator new(std::size_t bytes) {
  ++allocations;
  if (void* memory = std::malloc(bytes)) return memory;
  throw std::bad_alloc();
}
[[gnu::noinline]] void operator delete(void* memory) noexcept { std::free(memory); }
[[gnu::noinline]] void operator delete(void* memory, std::size_t) noexcept { std::free(memory); }

namespace {

/// x = (i, i + ½), y = −i
TensorDataset<float> numbered(std::size_t n) {
  auto x = Tensor<float>::empty({n, 2}), y = Tensor<float>::empty({n, 1});
  for (std::size_t i = 0; i < n; ++i) {
    x.data()[2 * i] = static_cast<float>(i);
    x.data()[2 * i + 1] = static_cast<float>(i) + 0.5f;
    y.data()[i] = -static_cast<float>(i);
  }
  return {x, y};
}

std::vector<float> column(const Tensor<float>& x, std::size_t j) {
  std::vector<float> values;
  for (std::size_t i = 0; i < x.size(0); ++i) values.push_back(x.item(i, j));
  return values;
}

/// A data set generated on demand.
class Squares : public Dataset<double> {
 public:
  std::size_t size() const override { return 5; }
  Shape x_shape() const override { return {}; }
  Shape y_shape() const override { return {2}; }
  void get(std::size_t index, std::span<double> x, std::span<double> y) const override {
    x[0] = static_cast<double>(index);
    y[0] = x[0] * x[0];
    y[1] = -y[0];
  }
};

}  // namespace

BOOST_AUTO_TEST_CASE(batches_agree_with_pytorch) {
  for (const Reference expected : Reference::file("random")["loader"]) {
    manual_seed(std::uint64_t(expected["seed"].number()));
    Generator own;
    DataLoaderOptions options{.batch_size = std::size_t(expected["batch_size"].number()),
                              .shuffle = expected.flag("shuffle", false),
                              .drop_last = expected.flag("drop_last", false)};
    if (expected.contains("generator_seed")) {
      own.manual_seed(std::uint64_t(expected["generator_seed"].number()));
      options.generator = &own;
    }
    DataLoader loader(numbered(std::size_t(expected["n"].number())), options);
    for (const Reference epoch : expected["epochs"]) {
      BOOST_TEST(loader.size() == epoch.size());
      std::size_t i = 0;
      for (auto& [x, y] : loader) {
        const Reference rows = epoch[i++];
        check_close(column(x, 0), rows.numbers(), 0, rows.where());
        for (std::size_t r = 0; r < x.size(0); ++r) {
          BOOST_TEST(x.item(r, 1) == x.item(r, 0) + 0.5f);
          BOOST_TEST(y.item(r, 0) == -x.item(r, 0));
        }
      }
      BOOST_TEST(i == epoch.size());
    }
    BOOST_TEST(rand<float>({1}).item() == static_cast<float>(expected["rand_after"].number()), expected.where());
  }
}

// Shuffled or not, changing a batch changes only the batch.
HANDGRAD_TEST_EVERYWHERE(a_batch_belongs_to_the_loader_and_not_to_the_data_set) {
  using T = typename Place::T;
  for (const bool shuffle : {false, true}) {
    const Tensor<T> x = Tensor<T>{{1}, {2}, {3}, {4}, {5}}.to(Place::device()),
                    y = Tensor<T>{{1}, {0}, {1}, {0}, {1}}.to(Place::device());
    const auto x_before = x.to_vector(), y_before = y.to_vector();
    DataLoader<T> loader(TensorDataset<T>(x, y), {.batch_size = 2, .shuffle = shuffle});
    for (int epoch = 0; epoch < 3; ++epoch)
      for (auto& [batch, targets] : loader) {
        batch.fill(T(7));
        targets.fill(T(9));
      }
    BOOST_TEST(x.to_vector() == x_before, boost::test_tools::per_element());
    BOOST_TEST(y.to_vector() == y_before, boost::test_tools::per_element());
  }
}

BOOST_AUTO_TEST_CASE(the_last_batch_has_what_is_left) {
  BOOST_TEST(DataLoader(numbered(7), {.batch_size = 3}).last_batch_size() == 1u);
  BOOST_TEST(DataLoader(numbered(7), {.batch_size = 3, .drop_last = true}).last_batch_size() == 3u);
  BOOST_TEST(DataLoader(numbered(6), {.batch_size = 3}).last_batch_size() == 3u);
  BOOST_TEST(DataLoader(numbered(2), {.batch_size = 3}).last_batch_size() == 2u);
}

BOOST_AUTO_TEST_CASE(shuffled_batches_share_one_buffer) {
  DataLoader loader(numbered(7), {.batch_size = 3, .shuffle = true});
  const float* buffer = nullptr;
  for (int epoch = 0; epoch < 2; ++epoch) {
    for (auto& [x, y] : loader) {
      if (!buffer) buffer = x.data();
      BOOST_TEST(x.data() == buffer);
    }
  }
}

BOOST_AUTO_TEST_CASE(nothing_is_allocated_from_batch_to_batch) {
  for (const bool shuffle : {true, false}) {
    DataLoader loader(numbered(64), {.batch_size = 3, .shuffle = shuffle});
    const auto epoch = [&] {
      float sum = 0;
      const std::size_t before = allocations;
      for (auto& [x, y] : loader) sum += x.data()[0] + y.data()[0];
      BOOST_TEST(sum == 0);
      return allocations - before;
    };
    epoch();
    BOOST_TEST(epoch() == (shuffle ? 1u : 0u));  // the permutation
  }
}

BOOST_AUTO_TEST_CASE(a_data_set_can_be_derived) {
  DataLoader loader(Squares(), {.batch_size = 2});
  std::vector<double> x_seen, y_seen;
  for (auto& [x, y] : loader) {
    BOOST_TEST((x.shape() == Shape{x.size(0)} && y.shape() == Shape{x.size(0), 2}));
    for (double value : x.to_vector()) x_seen.push_back(value);
    for (double value : y.to_vector()) y_seen.push_back(value);
  }
  check_close(x_seen, std::vector<double>{0, 1, 2, 3, 4}, 0, "x");
  check_close(y_seen, std::vector<double>{0, 0, 1, -1, 4, -4, 9, -9, 16, -16}, 0, "y");
}

BOOST_AUTO_TEST_CASE(a_batch_larger_than_the_data_is_the_data) {
  DataLoader loader(numbered(3), {.batch_size = 100, .shuffle = true});
  BOOST_TEST(loader.size() == 1u);
  for (auto& [x, y] : loader) BOOST_TEST(x.size(0) == 3u);
}

namespace {

/// All batches of an epoch, x then y, copied on their device by queued work.
template <class T>
std::vector<T> epoch(DataLoader<T>& loader, std::size_t most_batches = 1000) {
  const std::size_t n = loader.dataset().size(), columns = loader.dataset().x_shape().numel();
  Tensor<T> all;
  std::size_t from = 0;
  for (auto& [x, y] : loader) {
    if (!all.defined()) all = zeros<T>({n * (columns + 1)}, x.device());
    const std::size_t to = from + x.size(0);
    all.rows(from * columns, to * columns).copy_from(x.reshape({x.numel()}));
    all.rows(n * columns + from, n * columns + to).copy_from(y.reshape({y.numel()}));
    from = to;
    if (--most_batches == 0) break;
  }
  return all.to_vector();  // the first wait
}

template <class T>
TensorDataset<T> samples(std::size_t n, Device device = Device::cpu()) {
  Generator generator(5);
  Tensor<T> x = Tensor<T>::empty({n, 3}), y = Tensor<T>::empty({n, 1});
  uniform_(x, T(-1), T(1), generator);
  uniform_(y, T(-1), T(1), generator);
  return {x.to(device), y.to(device)};
}

/// A data set that cannot be read.
template <class T>
class Broken : public TensorDataset<T> {
 public:
  using TensorDataset<T>::TensorDataset;
  std::size_t broken = 7;
  void get(std::size_t index, std::span<T> x, std::span<T> y) const override {
    if (index == broken) throw ValueError("broken");
    TensorDataset<T>::get(index, x, y);
  }
  std::optional<Batch<T>> view(std::size_t, std::size_t) const override { return std::nullopt; }
};

}  // namespace

// Wherever the data lies, the batches are those of the CPU, with no wait between them.
HANDGRAD_TEST_CUDA(batches_on_a_device_are_those_of_the_cpu) {
  using T = typename Place::T;
  const Device device = Place::device();
  for (const bool shuffle : {false, true})
    for (const bool drop_last : {false, true})
      for (const Device data : {Device::cpu(), device}) {
        Generator here(1), there(1);
        DataLoaderOptions options{.batch_size = 4, .shuffle = shuffle, .drop_last = drop_last, .generator = &here};
        DataLoader<T> expected(samples<T>(30), options);
        options.generator = &there;
        options.device = device;
        DataLoader<T> loader(samples<T>(30, data), options);
        std::size_t free = 0;
        for (int i = 0; i < 6; ++i) {
          BOOST_TEST(epoch(loader) == epoch(expected), boost::test_tools::per_element());
          if (i == 2) BOOST_TEST(epoch(loader, 3) == epoch(expected, 3), boost::test_tools::per_element());
          if (i == 0) free = device_memory(device).free;
        }
        BOOST_TEST(device_memory(device).free == free);  // nothing was allocated after the first epoch
        BOOST_TEST(here.state() == there.state());
        for (auto& [x, y] : loader) BOOST_TEST((x.device() == device && y.device() == device));
      }
}

HANDGRAD_TEST_CUDA(data_on_a_device_can_be_wanted_on_the_cpu) {
  using T = typename Place::T;
  manual_seed(1);
  DataLoader<T> expected(samples<T>(10), {.batch_size = 4, .shuffle = true});
  const auto there = epoch(expected);
  manual_seed(1);
  DataLoader<T> loader(samples<T>(10, Place::device()), {.batch_size = 4, .shuffle = true, .device = Device::cpu()});
  BOOST_TEST(epoch(loader) == there, boost::test_tools::per_element());
}

// The first batch is copied to memory in which the device is still computing.
HANDGRAD_TEST_CUDA(memory_that_was_just_given_back_is_waited_for) {
  using T = typename Place::T;
  const Device device = Place::device();
  const auto data = samples<T>(8);
  DataLoader<T> expected(data, {.batch_size = 4});
  for (int i = 0; i < 4; ++i) {
    full<T>({4, 3}, T(7), device), full<T>({4, 1}, T(7), device);
    DataLoader<T> loader(data, {.batch_size = 4, .device = device});
    BOOST_TEST(epoch(loader) == epoch(expected), boost::test_tools::per_element());
  }
}

HANDGRAD_TEST_EVERYWHERE(an_error_comes_with_its_batch) {
  using T = typename Place::T;
  const auto data = samples<T>(12);
  Broken<T> broken(data.x(), data.y());
  DataLoader<T> loader(std::make_shared<Broken<T>>(broken), {.batch_size = 3, .device = Place::device()});
  for (int i = 0; i < 3; ++i) {
    std::size_t seen = 0;
    const auto count = [&] {
      for (auto& [x, y] : loader) seen += x.size(0);
    };
    BOOST_CHECK_THROW(count(), ValueError);
    BOOST_TEST(seen == 6u);
  }
  broken.broken = 12;
  DataLoader<T> whole(std::make_shared<Broken<T>>(broken), {.batch_size = 3, .device = Place::device()});
  DataLoader<T> expected(data, {.batch_size = 3});
  BOOST_TEST(epoch(whole) == epoch(expected), boost::test_tools::per_element());
}

BOOST_AUTO_TEST_CASE(misuse_is_refused) {
  check_throws<ValueError>([] { DataLoader(numbered(3), {.batch_size = 0}); }, {"batch_size", "0"});
  check_throws<ValueError>([] { DataLoader(numbered(0), {.batch_size = 1}); }, {"no examples"});
  check_throws<ValueError>([] { DataLoader(numbered(3), {.batch_size = 4, .drop_last = true}); }, {"3 examples", "4"});
  check_throws<ShapeError>([] { TensorDataset<float>(Tensor<float>{1, 2}, Tensor<float>{{1}}); }, {"(2,)", "(1, 1)"});
}
