// NumPy's streams, from reference/numpy.json: sequences of calls on one generator.
#include "handgrad/data/numpy_random.hpp"

#include <numeric>
#include <string>
#include <vector>

#include "handgrad/base/errors.hpp"
#include "support/check.hpp"
#include "support/reference.hpp"

using namespace handgrad;
using handgrad::test::check_close;
using handgrad::test::check_throws;
using handgrad::test::Reference;

namespace {

template <class F>
std::vector<double> repeat(double count, F draw) {
  std::vector<double> values(static_cast<std::size_t>(count));
  for (double& value : values) value = static_cast<double>(draw());
  return values;
}

std::vector<double> as_doubles(const std::vector<std::size_t>& values) { return {values.begin(), values.end()}; }

std::vector<double> call(NumpyRandom& random, const Reference& reference, const std::vector<double>& p) {
  const std::string name = reference["call"].text();
  const std::vector<double> args = reference["args"].numbers();
  const auto n = static_cast<std::size_t>(std::max(args[0], 0.0));  // randint's may be negative
  if (name == "rand") return random.rand(n);
  if (name == "randn" || name == "standard_normal") return random.randn(n);
  if (name == "normal") return repeat(args[2], [&] { return random.normal(args[0], args[1]); });
  if (name == "uniform") return repeat(args[2], [&] { return random.uniform(args[0], args[1]); });
  if (name == "randint") {
    return repeat(args[2], [&] { return random.randint(std::int64_t(args[0]), std::int64_t(args[1])); });
  }
  if (name == "permutation") return as_doubles(random.permutation(n));
  if (name == "choice") return as_doubles(random.choice(n, static_cast<std::size_t>(args[1]), args[2] != 0));
  if (name == "choice_p") return repeat(args[0], [&] { return random.choice(std::span<const double>(p)); });
  BOOST_TEST_REQUIRE((name == "shuffle" || name == "shuffle_rows"), "no such call here: " << name);
  std::vector<double> values(n);
  std::iota(values.begin(), values.end(), 0.0);
  random.shuffle(values);
  return values;
}

}  // namespace

BOOST_AUTO_TEST_CASE(streams_agree_with_numpy) {
  const Reference reference = Reference::file("numpy");
  const std::vector<double> p = reference["p"].numbers();
  for (const Reference stream : reference["streams"]) {
    NumpyRandom random(static_cast<std::uint32_t>(stream["seed"].number()));
    for (const Reference expected : stream["calls"]) {
      check_close(call(random, expected, p), expected["values"].numbers(), 0, expected.where());
    }
  }
}

BOOST_AUTO_TEST_CASE(what_has_no_meaning_is_refused) {
  NumpyRandom random;
  check_throws<ValueError>([&] { random.randint(3, 3); }, {"low < high", "3"});
  check_throws<ValueError>([&] { random.choice(0, 1); }, {"1 of 0"});
  check_throws<ValueError>([&] { random.choice(3, 4, false); }, {"4 of 3", "without replacement"});
  for (const std::vector<double>& p : {std::vector<double>{}, {0, 0}, {1, -1}, {1, NAN}, {1, INFINITY}}) {
    check_throws<ValueError>([&] { random.choice(std::span<const double>(p)); }, {"probabilities"});
  }
  BOOST_TEST(random.choice(5, 0).empty());
}
