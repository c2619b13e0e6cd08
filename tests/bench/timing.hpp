#pragma once
// How a step is timed, here and in libtorch_steps.cpp; torch_steps.py and jax_steps.py do the same in Python.
#include <algorithm>
#include <chrono>
#include <functional>
#include <vector>

namespace bench {

using Step = std::function<void()>;

inline double seconds_since(std::chrono::steady_clock::time_point start) {
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

/// Seconds per call: the median of seven rounds of as many calls as fill 0.2 s, after 0.2 s of warm-up.
inline double median_seconds(const Step& step) {
  int count = 0;
  for (const auto start = std::chrono::steady_clock::now(); count == 0 || seconds_since(start) < 0.2; ++count) step();
  std::vector<double> times;
  for (int round = 0; round < 7; ++round) {
    const auto start = std::chrono::steady_clock::now();
    for (int i = 0; i < count; ++i) step();
    times.push_back(seconds_since(start) / count);
  }
  std::nth_element(times.begin(), times.begin() + 3, times.end());
  return times[3];
}

}  // namespace bench
