#include "handgrad/data/numpy_random.hpp"

#include <algorithm>
#include <bit>
#include <cmath>
#include <limits>
#include <numeric>
#include <string>

#include "handgrad/base/elementary.hpp"
#include "handgrad/base/errors.hpp"

namespace handgrad {

double NumpyRandom::rand() {
  const double high = static_cast<double>(engine_() >> 5);  // 27 bits
  const double low = static_cast<double>(engine_() >> 6);   // 26 bits
  return (high * 67108864.0 + low) / 9007199254740992.0;
}

double NumpyRandom::randn() {
  if (kept_) {
    const double value = *kept_;
    kept_.reset();
    return value;
  }
  // A point (a, b) uniform in the unit disc, r² = a² + b². Then a·f and b·f with f = √(−2·ln(r²)/r²) are two
  // independent standard normals (G. Marsaglia and T. A. Bray, SIAM Review 6(3), 1964).
  double a, b, r2;
  do {
    a = 2.0 * rand() - 1.0;
    b = 2.0 * rand() - 1.0;
    r2 = a * a + b * b;
  } while (r2 >= 1.0 || r2 == 0.0);
  const double f = std::sqrt(-2.0 * detail::elementary_log(r2) / r2);
  kept_ = f * a;
  return f * b;
}

std::uint64_t NumpyRandom::bounded(std::uint64_t max) {
  if (max == 0) return 0;  // draws nothing, as in NumPy
  const std::uint64_t mask = std::numeric_limits<std::uint64_t>::max() >> std::countl_zero(max);
  const bool wide = max > std::numeric_limits<std::uint32_t>::max();
  std::uint64_t value;
  do {
    value = engine_();
    if (wide) value = value << 32 | engine_();
    value &= mask;
  } while (value > max);
  return value;
}

std::int64_t NumpyRandom::randint(std::int64_t low, std::int64_t high) {
  if (low >= high) {
    throw ValueError("NumpyRandom::randint: low < high expected, got " + std::to_string(low) + " and " +
                     std::to_string(high));
  }
  const std::uint64_t count = static_cast<std::uint64_t>(high) - static_cast<std::uint64_t>(low);
  return static_cast<std::int64_t>(static_cast<std::uint64_t>(low) + bounded(count - 1));
}

std::vector<double> NumpyRandom::rand(std::size_t count) {
  std::vector<double> values(count);
  for (double& value : values) value = rand();
  return values;
}

std::vector<double> NumpyRandom::randn(std::size_t count) {
  std::vector<double> values(count);
  for (double& value : values) value = randn();
  return values;
}

std::vector<std::size_t> NumpyRandom::permutation(std::size_t count) {
  std::vector<std::size_t> indices(count);
  std::iota(indices.begin(), indices.end(), std::size_t{0});
  shuffle(indices);
  return indices;
}

std::vector<std::size_t> NumpyRandom::choice(std::size_t count, std::size_t size, bool replace) {
  if ((count == 0 && size > 0) || (!replace && size > count)) {
    throw ValueError("NumpyRandom::choice: " + std::to_string(size) + " of " + std::to_string(count) +
                     (replace ? " elements" : " elements without replacement"));
  }
  if (!replace) {
    auto indices = permutation(count);
    indices.resize(size);
    return indices;
  }
  std::vector<std::size_t> indices(size);
  for (auto& index : indices) index = bounded(count - 1);
  return indices;
}

std::size_t NumpyRandom::choice(std::span<const double> probabilities) {
  const double sum = std::accumulate(probabilities.begin(), probabilities.end(), 0.0);
  const bool valid = std::all_of(probabilities.begin(), probabilities.end(), [](double p) { return p >= 0; });
  if (!valid || !(sum > 0) || !std::isfinite(sum)) {
    throw ValueError("NumpyRandom::choice: probabilities that are not negative and have a positive sum expected");
  }
  const double drawn = rand();
  double cumulated = 0;
  for (std::size_t i = 0; i < probabilities.size(); ++i) {
    cumulated += probabilities[i];
    if (drawn < cumulated / sum) return i;
  }
  return probabilities.size() - 1;  // reached only by rounding
}

}  // namespace handgrad
