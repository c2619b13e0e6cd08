#pragma once
// How a step is timed, here and in libtorch_steps.cpp; torch_steps.py and jax_steps.py do the same in Python. BENCH_SECONDS
// says how long (0.1), BENCH_ROWS which rows there are to be (all).
#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <functional>
#include <string>
#include <vector>

namespace bench {

using Step = std::function<void()>;

inline double seconds_since(std::chrono::steady_clock::time_point start) {
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

/// Is the row among BENCH_ROWS, names with commas between them?
inline bool wanted(const std::string& row) {
  const char* rows = std::getenv("BENCH_ROWS");
  return !rows || !*rows || ("," + std::string(rows) + ",").find("," + row + ",") != std::string::npos;
}

/// Seconds of one call: the median of seven rounds of as many calls as fill BENCH_SECONDS, after as long to warm up.
inline double median_seconds(const Step& step) {
  const char* text = std::getenv("BENCH_SECONDS");
  const double length = text ? std::atof(text) : 0.1;
  int count = 0;
  for (const auto start = std::chrono::steady_clock::now(); count == 0 || seconds_since(start) < length; ++count) step();
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
