// Devices: their descriptions, exhausted memory, several devices, precision of products.
#include "handgrad/base/device.hpp"

#include <boost/test/unit_test.hpp>
#include <chrono>
#include <cstdlib>
#include <fstream>
#include <string>
#include <thread>

#include "handgrad/handgrad.hpp"
#include "support/typed.hpp"

using namespace handgrad;

// Must come first, before anything asks for a GPU.
BOOST_AUTO_TEST_CASE(a_program_that_uses_no_gpu_loads_none_of_its_libraries) {
  Sequential<float> net{Linear<float>(3, 2), ReLU<float>()};
  net.forward(randn<float>({4, 3}));
  std::ifstream maps("/proc/self/maps");
  for (std::string line; std::getline(maps, line);)
    for (const char* library : {"libcuda", "libcublas", "libhandgrad_cuda"})
      BOOST_TEST(line.find(library) == std::string::npos, line);
}

BOOST_AUTO_TEST_CASE(a_device_that_is_not_there_is_refused_with_the_reason) {
  const std::string reason = cuda_unavailable_reason();
  BOOST_TEST(cuda_available() == reason.empty());
  BOOST_TEST(cuda_available() == (device_count() > 0));
  const Device missing = Device::cuda(device_count());
  BOOST_CHECK_EXCEPTION(zeros<float>({2}, missing), DeviceError, [&](const DeviceError& error) {
    return std::string(error.what()).find("device " + missing.str() + " cannot be used: ") == 0 &&
           (cuda_available() || std::string(error.what()).find(reason) != std::string::npos);
  });
  BOOST_CHECK_THROW(device_name(missing), DeviceError);
  BOOST_CHECK_THROW(device_name(Device::cpu()), DeviceError);
  BOOST_CHECK_THROW(set_matmul_precision(Device::cpu(), MatmulPrecision::TF32), DeviceError);
  synchronize(Device::cpu());
  const char* expected = std::getenv("HANDGRAD_TEST_CUDA_REASON");  // set by ctest, with an unusable module
  if (expected) BOOST_TEST(reason.find(expected) != std::string::npos, reason);
}

HANDGRAD_TEST_CUDA(a_device_has_a_name_and_memory) {
  BOOST_TEST(!device_name(Place::device()).empty());
  const DeviceMemory memory = device_memory(Place::device());
  BOOST_TEST(memory.total > 0u);
  BOOST_TEST(memory.free <= memory.total);
}

HANDGRAD_TEST_EVERYWHERE(work_is_timed_where_it_runs) {
  using T = typename Place::T;
  const Tensor<T> x = ones<T>({64, 64}).to(Place::device());
  Tensor<T> y;
  const auto begin = std::chrono::steady_clock::now();
  const double seconds = seconds_on(Place::device(), [&] { y = matmul(x, x); });
  const double all = std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
  BOOST_TEST(seconds > 0);
  BOOST_TEST(seconds <= all);
  BOOST_TEST(y.item(63, 63) == T(64));
  BOOST_CHECK_THROW(seconds_on(Place::device(), [] { throw ValueError("no"); }), ValueError);
}

HANDGRAD_TEST_CUDA(out_of_memory_is_an_error_after_which_all_goes_on) {
  using T = typename Place::T;
  const Device device = Place::device();
  const DeviceMemory memory = device_memory(device);
  const std::size_t quarter = memory.total / 4 / sizeof(T);
  BOOST_CHECK_EXCEPTION(Tensor<T>::empty({memory.total}, device), DeviceError, [](const DeviceError& error) {
    const std::string text = error.what();
    return text.find("out of memory on cuda:0") == 0 && text.find("bytes are free") == std::string::npos &&
           text.find(" are free") != std::string::npos;
  });
  {
    std::vector<Tensor<T>> held;
    BOOST_CHECK_THROW(for (int i = 0; i < 10; ++i) held.push_back(Tensor<T>::empty({quarter}, device)), DeviceError);
    BOOST_TEST(held.size() >= 1u);
  }
  // Freed memory is kept for tensors of the same size, and released when another size needs it.
  BOOST_TEST(full<T>({quarter + quarter / 2}, T(2), device).rows(7, 8).item() == T(2));
}

/// All but less than 2 MiB of the free memory.
template <class T>
std::vector<Tensor<T>> all_memory(Device device) {
  std::vector<Tensor<T>> held;
  for (std::size_t size = device_memory(device).total / 2; size >= std::size_t{2} << 20;) {
    try {
      held.push_back(Tensor<T>::empty({size / sizeof(T)}, device));
    } catch (const DeviceError&) {
      size /= 2;
    }
  }
  return held;
}

HANDGRAD_TEST_CUDA(a_batch_that_finds_no_memory) {
  using T = typename Place::T;
  const Device device = Place::device();
  const std::size_t rows = (std::size_t{4} << 20) / sizeof(T);
  const Tensor<T> x = randn<T>({rows, 1});
  DataLoader<T> loader(TensorDataset<T>(x, x), {.batch_size = rows, .device = device});
  {
    const auto held = all_memory<T>(device);
    for (int i = 0; i < 2; ++i) BOOST_CHECK_THROW(loader.begin(), DeviceError);
  }
  for (int epoch = 0; epoch < 2; ++epoch)
    for (auto& batch : loader) BOOST_TEST((batch.x == x && batch.y == x));
}

BOOST_TEST_DECORATOR(*boost::unit_test::precondition(handgrad::test::device_present))
BOOST_AUTO_TEST_CASE(CUDA_a_fused_forward_that_finds_no_memory_leaves_nothing_to_go_back_through) {
  const Device device = Device::cuda();
  Sequential net{Linear(1 << 20, 2), Tanh()};
  net.to(device);
  const Tensor<float> x = randn({2, 1 << 20}).to(device), dy = ones({2, 2}).to(device);
  net.forward(x);
  {
    const auto held = all_memory<float>(device);
    set_matmul_precision(device, MatmulPrecision::BF16);  // needs memory for rounded copies
    BOOST_CHECK_THROW(net.forward(x), DeviceError);
    set_matmul_precision(device, MatmulPrecision::FP32);
    BOOST_CHECK_THROW(net[0].backward(dy), StateError);
  }
  net.forward(x);
  net[0].backward(dy);
  BOOST_TEST((net.parameters()[1].grad().cpu() == Tensor<float>{2, 2}));
}

HANDGRAD_TEST_CUDA(two_devices) {
  using T = typename Place::T;
  if (device_count() < 2) return;
  const Tensor<T> x = randn<T>({5, 3}), first = x.to(Device::cuda(0)), second = first.to(Device::cuda(1));
  BOOST_TEST((second.cpu() == x));
  BOOST_TEST((matmul(second, x.reshape({3, 5}).to(Device::cuda(1))).device() == Device::cuda(1)));
  BOOST_CHECK_THROW(matmul(first, second.reshape({3, 5})), DeviceError);
  // From a separate thread, in which no device is current yet
  std::thread([&] { BOOST_TEST((second.clone().cpu() == x)); }).join();
}

HANDGRAD_TEST_CUDA(large_transfers) {
  using T = typename Place::T;
  const Tensor<T> x = randn<T>({700001});  // several pieces of staging memory
  const Tensor<T> there = x.to(Place::device());
  BOOST_TEST((there.cpu() == x));
  BOOST_TEST((there.clone().cpu() == x));
  BOOST_TEST((there.rows(3, 600000).cpu() == x.rows(3, 600000)));
}

HANDGRAD_TEST_CUDA(precision_is_what_was_asked_for) {
  using T = typename Place::T;
  const Device device = Place::device();
  const Tensor<T> a = randn<T>({40, 50}), b = randn<T>({50, 30}), exact = matmul(a, b);
  const auto error = [&](MatmulPrecision precision) {
    set_matmul_precision(device, precision);
    BOOST_TEST((matmul_precision(device) == precision));
    const std::vector<T> c = matmul(a.to(device), b.to(device)).to_vector(), e = exact.to_vector();
    set_matmul_precision(device, MatmulPrecision::FP32);
    double worst = 0;
    for (std::size_t i = 0; i < c.size(); ++i) worst = std::max(worst, std::abs(static_cast<double>(c[i] - e[i])));
    return worst;
  };
  BOOST_TEST((matmul_precision(device) == MatmulPrecision::FP32));
  const double fp32 = error(MatmulPrecision::FP32), tf32 = error(MatmulPrecision::TF32),
               bf16 = error(MatmulPrecision::BF16);
  if (std::is_same_v<T, double>) {
    BOOST_TEST(std::max({fp32, tf32, bf16}) < 1e-12);
  } else {
    BOOST_TEST(fp32 < 2e-5);
    BOOST_TEST(tf32 > fp32);
    BOOST_TEST(tf32 < 2e-2);
    BOOST_TEST(bf16 > tf32);
    BOOST_TEST(bf16 < 2e-1);
  }
}
