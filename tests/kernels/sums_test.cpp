// The CPU's sums, to the bit, against a plain loop of the definition in kernels/cpu/simd.hpp.
#include <cmath>
#include <random>
#include <vector>

#include "kernels/cpu/instruction_sets.hpp"
#include "support/check.hpp"

namespace cpu = handgrad::kernels::cpu;

namespace {

template <class T>
double block_sum(const T* x, std::size_t n, std::size_t step) {
  double lanes[16] = {};
  for (std::size_t i = 0; i < n; ++i) lanes[i % 16] += static_cast<double>(x[i * step]);
  for (const std::size_t half : {8u, 4u, 2u, 1u})
    for (std::size_t j = 0; j < half; ++j) lanes[j] = lanes[j] + lanes[j + half];
  return lanes[0];
}

template <class T>
double specified(const T* x, std::size_t n, std::size_t step) {
  if (n <= 4096) return block_sum(x, n, step);
  std::size_t left = 4096;
  while (2 * left < n) left *= 2;
  return specified(x, left, step) + specified(x + left * step, n - left, step);
}

template <class T>
std::vector<T> numbers(std::size_t n) {
  std::mt19937 random(1);
  std::uniform_real_distribution<double> u(-1, 1);
  std::vector<T> x(n);
  for (T& v : x) v = static_cast<T>(u(random));
  return x;
}

template <class T>
void check() {
  for (const std::size_t n :
       {0u, 1u, 2u, 3u, 7u, 10u, 15u, 16u, 17u, 31u, 100u, 129u, 4095u, 4096u, 4097u, 8192u, 12289u, 100003u})
    for (const std::size_t step : {1u, 3u}) {
      const auto x = numbers<T>(n * step + 1);
      for (const cpu::InstructionSet* set : cpu::instruction_sets()) {
        const auto& a = set->operations<T>().arithmetic;
        const double sum = step == 1 ? a.sum(n, x.data()) : a.sum_strided(n, x.data(), step);
        BOOST_TEST(sum == specified(x.data(), n, step),
                   n << " of " << sizeof(T) << " bytes, step " << step << ", " << set->name);
      }
    }
}

}  // namespace

BOOST_AUTO_TEST_CASE(floats_are_as_specified) { check<float>(); }
BOOST_AUTO_TEST_CASE(doubles_are_as_specified) { check<double>(); }

BOOST_AUTO_TEST_CASE(long_sums_keep_their_digits) {
  const std::vector<double> x(20'000'000, 0.1);
  const double sum = cpu::instruction_set().doubles.arithmetic.sum(x.size(), x.data());
  BOOST_TEST(std::abs(sum / 2e6 - 1) < 1e-14);
}

BOOST_AUTO_TEST_CASE(infinities_and_nan_are_not_lost) {
  std::vector<float> x(37, 1.0f);
  x[35] = std::numeric_limits<float>::infinity();
  for (const cpu::InstructionSet* set : cpu::instruction_sets()) {
    BOOST_TEST(std::isinf(set->floats.arithmetic.sum(x.size(), x.data())));
    BOOST_TEST(set->floats.arithmetic.sum(35, x.data()) == 35);
  }
}
