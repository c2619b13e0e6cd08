// Compiled for this processor, with fused multiply-adds, whatever the library is compiled for.
#include "bench/machine.hpp"

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <thread>
#include <vector>

#include "bench/timing.hpp"

namespace bench {

namespace {

#if defined(__AVX512F__)
constexpr int width = 64;
#elif defined(__AVX__)
constexpr int width = 32;
#else
constexpr int width = 16;
#endif
using Vector __attribute__((vector_size(width))) = float;
constexpr int lanes = width / sizeof(float);

/// The best of five rounds of work(thread) on all threads at once, in seconds.
template <class Work>
double best_seconds(int threads, const Work& work) {
  double best = 1e9;
  for (int round = 0; round < 5; ++round) {
    const auto start = std::chrono::steady_clock::now();
    std::vector<std::thread> team;
    for (int t = 1; t < threads; ++t) team.emplace_back(work, t);
    work(0);
    for (std::thread& thread : team) thread.join();
    best = std::min(best, seconds_since(start));
  }
  return best;
}

}  // namespace

double peak_gflops(int threads) {
  constexpr int chains = 12, steps = 20'000'000;  // enough chains for two units with a latency of 4 or 5 cycles
  std::vector<float> sums(static_cast<std::size_t>(threads));
  volatile float factor = 0.999999f, term = 1e-6f, start = 0;
  const double seconds = best_seconds(threads, [&](int thread) {
    Vector a = {}, b = {}, c[chains] = {};
    a += factor;
    b += term;
    for (Vector& x : c) x += start;  // read anew for each: chains that must be equal would be computed as one
    for (int i = 0; i < steps; ++i)
      for (Vector& x : c) x = x * a + b;
    for (const Vector& x : c) sums[static_cast<std::size_t>(thread)] += x[0];
  });
  return 2.0 * lanes * chains * steps * threads / seconds * 1e-9;
}

double read_gbytes(int threads) {
  constexpr std::size_t size = std::size_t(64) << 20;  // floats, 256 MB
  const std::vector<float> data(size, 1.0f);
  std::vector<float> sums(static_cast<std::size_t>(threads));
  const std::size_t part = size / static_cast<std::size_t>(threads);
  const double seconds = best_seconds(threads, [&](int thread) {
    const float* begin = data.data() + part * static_cast<std::size_t>(thread);
    Vector sum[4] = {};
    for (std::size_t i = 0; i + 4 * lanes <= part; i += 4 * lanes)
      for (std::size_t j = 0; j < 4; ++j) {
        Vector x;
        __builtin_memcpy(&x, begin + i + j * lanes, sizeof x);
        sum[j] += x;
      }
    sums[static_cast<std::size_t>(thread)] = (sum[0] + sum[1] + sum[2] + sum[3])[0];
  });
  return 4.0 * size / seconds * 1e-9;
}

}  // namespace bench
