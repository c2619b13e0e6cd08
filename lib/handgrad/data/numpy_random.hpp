#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <random>
#include <span>
#include <utility>
#include <vector>

namespace handgrad {

/// NumPy's legacy generator (`np.random.RandomState(seed)`, `np.random.seed(seed)`), number for number.
///
/// scikit-learn's data generators and its train/test split are built on it, as is the notebooks' data: the same seed
/// gives the same rows here. Networks draw from torch's generator instead (random.hpp).
///
/// Source: M. Matsumoto and T. Nishimura, "Mersenne Twister", ACM TOMACS 8(1), 1998, seeded by init_genrand, as
/// std::mt19937 is; distributions as frozen by NumPy's documentation of RandomState.
class NumpyRandom {
 public:
  explicit NumpyRandom(std::uint32_t seed = 0) : engine_(seed) {}

  /// Uniform on [0, 1) with 53 random bits: ((u₁≫5)·2²⁶ + (u₂≫6)) / 2⁵³. `np.random.rand()`.
  double rand();

  /// Standard normal by the polar method, which gives two values; the second is kept for the next call.
  /// `np.random.randn()`.
  double randn();

  /// One number, as numpy.random.RandomState draws it.
  double uniform(double low, double high) { return low + (high - low) * rand(); }
  double normal(double mean, double standard_deviation) { return mean + standard_deviation * randn(); }

  /// Uniform integer on [0, max], both ends included: bits masked to max's width, redrawn while they exceed it. Takes
  /// two words, the high one first, if max needs more than 32 bits.
  std::uint64_t bounded(std::uint64_t max);

  /// Uniform integer on [low, high). `np.random.randint(low, high)`. Throws ValueError if the range is empty.
  std::int64_t randint(std::int64_t low, std::int64_t high);

  /// `count` draws each. `np.random.rand(count)`, `np.random.randn(count)`.
  std::vector<double> rand(std::size_t count);
  std::vector<double> randn(std::size_t count);

  /// Fisher-Yates from the last element down. `np.random.shuffle(values)`.
  template <class T>
  void shuffle(std::span<T> values) {
    for (std::size_t i = values.size(); i-- > 1;) {
      using std::swap;
      swap(values[i], values[bounded(i)]);
    }
  }
  template <class T>
  void shuffle(std::vector<T>& values) {
    shuffle(std::span<T>(values));
  }

  /// 0 … count−1, shuffled. `np.random.permutation(count)`.
  std::vector<std::size_t> permutation(std::size_t count);

  /// `size` indices out of 0 … count−1. `np.random.choice(count, size, replace)`. Throws ValueError if count is 0, or
  /// less than `size` without replacement.
  std::vector<std::size_t> choice(std::size_t count, std::size_t size, bool replace = true);

  /// An index drawn with these probabilities, relative to their sum. `np.random.choice(n, p=p)`. Throws ValueError
  /// unless all are finite, none is negative and one is positive.
  std::size_t choice(std::span<const double> probabilities);

 private:
  std::mt19937 engine_;
  std::optional<double> kept_;
};

}  // namespace handgrad
