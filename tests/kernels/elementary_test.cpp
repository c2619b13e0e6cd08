// exp, log, … of kernels/formulas/elementary.hpp on every instruction set of this processor: within their stated error
// of a higher precision, and with the same bits as one number at a time. HANDGRAD_TEST_ALL_FLOATS=1 takes all 2³²
// floats instead of every 4099th (minutes).
#include "kernels/formulas/elementary.hpp"

#include <bit>
#include <cmath>
#include <cstdlib>
#include <cstring>
#include <limits>
#include <random>
#include <sstream>
#include <vector>

#include "kernels/cpu/instruction_sets.hpp"
#include "support/check.hpp"

namespace cpu = handgrad::kernels::cpu;
namespace elementary = handgrad::elementary;

namespace {

template <class T>
struct Function {
  const char* name;
  void (*cpu::Arithmetic<T>::*on_array)(std::size_t, const T*, T*);
  T (*on_number)(T);
  long double (*exact)(long double);
  double (*exact_of_float)(double);  // precise enough for floats, and faster
  double ulps;
};

template <class T>
std::vector<Function<T>> functions() {
  using A = cpu::Arithmetic<T>;
  return {{"exp", &A::exp, elementary::exp<T>, std::exp, std::exp, 1.0},
          {"log", &A::log, elementary::log<T>, std::log, std::log, 1.0},
          {"log1p", &A::log1p, elementary::log1p<T>, std::log1p, std::log1p, 1.0},
          {"expm1", &A::expm1, elementary::expm1<T>, std::expm1, std::expm1, 1.1},
          {"tanh", &A::tanh, elementary::tanh<T>, std::tanh, std::tanh, 1.5},
          {"erf", &A::erf, elementary::erf<T>, std::erf, std::erf, 1.2}};
}

// |y − exact| in units in the last place of T at `exact`; 0 for equal infinities or NaN.
template <class T, class R>
double ulps(T y, R exact) {
  const double wrong = std::numeric_limits<double>::infinity();
  if (std::isnan(exact)) return std::isnan(y) ? 0 : wrong;
  const T nearest = static_cast<T>(exact);
  if (std::isinf(nearest) || std::isinf(y) || nearest == T(0))
    return y == nearest && std::signbit(y) == std::signbit(nearest) ? 0 : wrong;
  int exponent;
  std::frexp(exact, &exponent);
  using L = std::numeric_limits<T>;
  const R unit = std::ldexp(R(1), std::max(exponent, L::min_exponent) - L::digits);
  return static_cast<double>(std::abs(static_cast<R>(y) - exact) / unit);
}

template <class T, class R>
void check(const std::vector<T>& x) {
  std::vector<T> y(x.size()), one(x.size());
  for (const Function<T>& f : functions<T>()) {
    for (std::size_t i = 0; i < x.size(); ++i) one[i] = f.on_number(x[i]);
    double worst = 0;
    T where = 0;
    for (std::size_t i = 0; i < x.size(); ++i) {
      double error;
      if constexpr (std::is_same_v<T, float>)
        error = ulps<T, R>(one[i], f.exact_of_float(static_cast<double>(x[i])));
      else
        error = ulps<T, R>(one[i], f.exact(x[i]));
      if (error > worst) worst = error, where = x[i];
    }
    BOOST_TEST(worst <= f.ulps, f.name << " of " << sizeof(T) << " bytes: " << worst << " at " << where);
    for (const cpu::InstructionSet* set : cpu::instruction_sets()) {
      (set->operations<T>().arithmetic.*f.on_array)(x.size(), x.data(), y.data());
      std::size_t differ = 0, at = 0;
      for (std::size_t i = 0; i < x.size(); ++i)
        if (std::memcmp(&y[i], &one[i], sizeof(T)) != 0 && !(std::isnan(y[i]) && std::isnan(one[i])) && differ++ == 0)
          at = i;
      BOOST_TEST(differ == 0u, f.name << " on " << set->name << ": " << differ << " differ, first at " << x[at]);
    }
  }
}

}  // namespace

BOOST_AUTO_TEST_CASE(floats) {
  const char* all = std::getenv("HANDGRAD_TEST_ALL_FLOATS");
  const std::uint64_t step = all && *all == '1' ? 1 : 4099;
  std::vector<float> x;
  for (std::uint64_t bits = 0; bits < std::uint64_t{1} << 32; bits += step) {
    x.push_back(std::bit_cast<float>(static_cast<std::uint32_t>(bits)));
    if (x.size() == 1 << 22) check<float, double>(x), x.clear();
  }
  check<float, double>(x);
}

BOOST_AUTO_TEST_CASE(doubles) {
  std::mt19937_64 random(1);
  std::vector<double> x;
  for (int i = 0; i < 40'000; ++i) {
    const double u = static_cast<double>(random() >> 11) * 0x1p-53, sign = random() % 2 == 0 ? 1 : -1;
    x.insert(x.end(), {std::bit_cast<double>(random()), 40 * u - 20, 4 * u - 2, 1500 * u - 750,
                       sign * std::exp(60 * u - 30), 0.95 + u / 10, sign * std::ldexp(u, -1040)});
  }
  check<double, long double>(x);
}

BOOST_AUTO_TEST_CASE(special_values) {
  const auto check_special = []<class T>(T) {
    using L = std::numeric_limits<T>;
    const T inf = L::infinity(), nan = L::quiet_NaN();
    const std::vector<T> x{0,
                           T(-0.0),
                           1,
                           -1,
                           -2,
                           inf,
                           -inf,
                           nan,
                           L::denorm_min(),
                           -L::denorm_min(),
                           L::min(),
                           L::max(),
                           L::lowest(),
                           T(0.5),
                           T(-0.5),
                           std::nextafter(T(-1), T(0)),
                           std::nextafter(T(1), T(0))};
    check<T, long double>(x);
  };
  check_special(float{});
  check_special(double{});
  BOOST_TEST(std::signbit(elementary::log1p(-0.0)));
  BOOST_TEST(std::signbit(elementary::tanh(-0.0f)));
}
