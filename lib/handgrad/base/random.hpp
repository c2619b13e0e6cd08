#pragma once
#include <cstdint>
#include <optional>
#include <random>
#include <vector>

#include "handgrad/base/tensor.hpp"

namespace handgrad {

/// PyTorch's CPU generator: a 32-bit Mersenne twister, with PyTorch's ways of turning its output into numbers. The same
/// seed gives the same numbers: bit for bit in the uniform streams, up to the rounding of log and cos in the normal
/// ones. Source: ATen/core/DistributionsHelper.h and ATen/native/cpu/DistributionTemplates.h of PyTorch;
/// tests/base/random_test.cpp compares with values that PyTorch drew.
class Generator {
 public:
  explicit Generator(std::uint64_t seed = 5489) { manual_seed(seed); }
  /// Restarts the generator. mt19937 takes the seed's low 32 bits; a kept normal number is dropped.
  void manual_seed(std::uint64_t seed);
  std::uint64_t initial_seed() const { return seed_; }

  /// The next 32 bits.
  std::uint32_t random() { return static_cast<std::uint32_t>(engine_()); }
  /// The first word drawn is the high half.
  std::uint64_t random64();
  /// Uniform on [0, 1): 24 bits of a word for float, 53 bits of two words for double.
  template <class T>
  T uniform();
  /// Standard normal by Box and Muller: returns one of a pair and keeps the other for the next call.
  double normal();
  /// 0, 1, 2, … since the last seeding: tells apart the counter-based streams that take their key from this generator's
  /// seed (Dropout). Does not advance the twister.
  std::uint32_t next_stream() { return streams_++; }

  /// The whole state (seed, streams, twister, kept number) as text, so that a run can be resumed. set_state throws
  /// ParseError for any other text.
  std::string state() const;
  void set_state(const std::string& state);

 private:
  std::mt19937 engine_;
  std::uint64_t seed_ = 0;
  std::uint32_t streams_ = 0;
  std::optional<double> kept_normal_;
};

/// The generator used wherever no other is given: one per process, as in PyTorch, unless a GeneratorGuard of this
/// thread replaces it. Not to be used by two threads at once.
Generator& default_generator();
/// Seeds the default generator.
void manual_seed(std::uint64_t seed);

/// While it lives, `generator` is the default generator of the thread that made it. Networks trained side by side then
/// each get the numbers that they would get alone:
///
///     std::thread other([&] {
///       Generator own;
///       const GeneratorGuard guard(own);
///       manual_seed(1);  // seeds `own`
///       …
///     });
///
/// Guards nest. `generator` must outlive its guard.
class GeneratorGuard {
 public:
  explicit GeneratorGuard(Generator& generator);
  ~GeneratorGuard();
  GeneratorGuard(const GeneratorGuard&) = delete;
  GeneratorGuard& operator=(const GeneratorGuard&) = delete;

 private:
  Generator* before_;
};

/// xᵢ ~ U[low, high), in place.
template <class T>
Tensor<T>& uniform_(Tensor<T>& x, double low = 0, double high = 1, Generator& generator = default_generator());
/// xᵢ ~ N(mean, std²), in place. As in PyTorch, fewer than 16 elements come from another stream than 16 or more.
template <class T>
Tensor<T>& normal_(Tensor<T>& x, double mean = 0, double std = 1, Generator& generator = default_generator());

/// U[0, 1) and N(0, 1) in a new tensor on the CPU.
template <class T = float>
Tensor<T> rand(const Shape& shape, Generator& generator = default_generator());
template <class T = float>
Tensor<T> randn(const Shape& shape, Generator& generator = default_generator());
/// Integers in [low, high), each as an element of type T. Throws ValueError when low ≥ high.
template <class T = float>
Tensor<T> randint(std::int64_t low, std::int64_t high, const Shape& shape, Generator& generator = default_generator());
/// A random permutation of 0 … n−1.
std::vector<std::size_t> randperm(std::size_t n, Generator& generator = default_generator());

}  // namespace handgrad
