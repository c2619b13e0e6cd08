// The logarithm, sine and cosine of the random numbers against the C library's long double.
#include "handgrad/base/elementary.hpp"

#include <cfloat>
#include <cmath>
#include <numbers>
#include <random>
#include <utility>

#include "handgrad/base/random.hpp"
#include "support/check.hpp"

using handgrad::detail::elementary_erfc;
using handgrad::detail::elementary_log;
using handgrad::detail::elementary_pow;
using handgrad::detail::elementary_sin_cos;

namespace {

// The error in units in the last place of a double.
double error(double got, long double exact) {
  int exponent = 0;
  std::frexp(static_cast<double>(exact), &exponent);
  return static_cast<double>(std::abs(static_cast<long double>(got) - exact) / std::ldexp(1.0L, exponent - 53));
}

}  // namespace

BOOST_AUTO_TEST_CASE(log_is_within_0_55_ulp, *boost::unit_test::enable_if<(LDBL_MANT_DIG >= 64)>()) {
  std::mt19937_64 random(1);
  double worst = 0, x_worst = 0;
  const auto check = [&](double x) {
    const double e = error(elementary_log(x), std::log(static_cast<long double>(x)));
    if (!(e <= worst)) worst = e, x_worst = x;
  };
  for (int i = 0; i < 200'000; ++i) {
    const double u = static_cast<double>(random() >> 11) * 0x1p-53;
    check(1 - u);
    if (u > 0) check(u);
    check(1 - u * 1e-6);
    check(1 + u);
    check(std::ldexp(1 + u, static_cast<int>(random() % 2000) - 1000));
  }
  BOOST_TEST(worst <= 0.55, "worst " << worst << " at " << x_worst);
  BOOST_TEST(elementary_log(1) == 0);
  BOOST_TEST(elementary_log(0) == -std::numeric_limits<double>::infinity());
}

BOOST_AUTO_TEST_CASE(sin_and_cos_are_within_0_7_ulp, *boost::unit_test::enable_if<(LDBL_MANT_DIG >= 64)>()) {
  std::mt19937_64 random(2);
  double worst = 0, worst_near_zero = 0;
  const auto check = [&](double theta) {
    const auto [s, c] = elementary_sin_cos(theta);
    const long double x = static_cast<long double>(theta);
    for (const auto& [got, exact] : {std::pair{s, std::sin(x)}, {c, std::cos(x)}}) {
      double& most = std::abs(exact) < 1e-3L ? worst_near_zero : worst;
      most = std::max(most, error(got, exact));
    }
  };
  for (int i = 0; i < 200'000; ++i) check(2 * std::numbers::pi * static_cast<double>(random() >> 11) * 0x1p-53);
  for (int n = 0; n <= 8; ++n)
    for (int i = -50; i <= 50; ++i)
      if (const double theta = n * std::numbers::pi / 4 + i * 1e-5; theta >= 0 && theta <= 2 * std::numbers::pi)
        check(theta);
  BOOST_TEST(worst <= 0.7);
  BOOST_TEST(worst_near_zero <= 1);
  BOOST_TEST(elementary_sin_cos(0).sin == 0);
  BOOST_TEST(elementary_sin_cos(0).cos == 1);
}

BOOST_AUTO_TEST_CASE(large_angles_are_within_an_ulp_of_1, *boost::unit_test::enable_if<(LDBL_MANT_DIG >= 64)>()) {
  std::mt19937_64 random(3);
  for (int i = 0; i < 100'000; ++i) {
    const double theta = (static_cast<double>(random() >> 11) * 0x1p-52 - 1) * 1e6;
    const auto [s, c] = elementary_sin_cos(theta);
    BOOST_REQUIRE_SMALL(static_cast<double>(std::sin(static_cast<long double>(theta)) - s), 0x1p-52);
    BOOST_REQUIRE_SMALL(static_cast<double>(std::cos(static_cast<long double>(theta)) - c), 0x1p-52);
  }
}

BOOST_AUTO_TEST_CASE(erfc_keeps_the_digits_of_small_numbers, *boost::unit_test::enable_if<(LDBL_MANT_DIG >= 64)>()) {
  double worst = 0, x_worst = 0;
  for (int i = -7000; i <= 26'000; ++i) {  // erfc 26.5 is denormal
    const double x = i / 1000.0 + 1e-5, e = error(elementary_erfc(x), std::erfc(static_cast<long double>(x)));
    if (!(e <= worst)) worst = e, x_worst = x;
  }
  BOOST_TEST(worst <= 4, "worst " << worst << " at " << x_worst);
  BOOST_TEST(std::abs(elementary_erfc(27) - static_cast<double>(std::erfc(27.0L))) < 1e-320);
  BOOST_TEST(elementary_erfc(std::numeric_limits<double>::infinity()) == 0);
  BOOST_TEST(elementary_erfc(-std::numeric_limits<double>::infinity()) == 2);
  BOOST_TEST(std::isnan(elementary_erfc(std::numeric_limits<double>::quiet_NaN())));
}

// Adam's βᵗ, a schedule's γᵗ, a norm's powers.
BOOST_AUTO_TEST_CASE(powers_are_within_1_5_ulp, *boost::unit_test::enable_if<(LDBL_MANT_DIG >= 64)>()) {
  std::mt19937_64 random(4);
  double worst = 0;
  const auto check = [&](double x, double y) {
    worst = std::max(worst,
                     error(elementary_pow(x, y), std::pow(static_cast<long double>(x), static_cast<long double>(y))));
  };
  for (int t = 1; t < 20'000; ++t)
    for (const double beta : {0.9, 0.95, 0.99, 0.999, 0.9999})
      if (t * -std::log(beta) < 100) check(beta, t);
  for (int i = 0; i < 100'000; ++i) {
    const double u = static_cast<double>(random() >> 11) * 0x1p-53, v = static_cast<double>(random() >> 11) * 0x1p-53;
    check(20 * u + 0.01, 20 * v - 10);
    check(1e4, -v);
  }
  BOOST_TEST(worst <= 1.5);
  BOOST_TEST(elementary_pow(0, 3) == 0);
  BOOST_TEST(elementary_pow(0, 0) == 1);
  BOOST_TEST(elementary_pow(1, 1e6) == 1);
}
