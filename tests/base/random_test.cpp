// The streams of the generator against PyTorch's, from reference/random.json.
#include "handgrad/base/random.hpp"

#include <sstream>
#include <string>
#include <thread>
#include <vector>

#include "handgrad/base/errors.hpp"
#include "handgrad/layers/linear.hpp"
#include "support/check.hpp"
#include "support/reference.hpp"

using namespace handgrad;
using handgrad::test::check_close;
using handgrad::test::check_throws;
using handgrad::test::Reference;

namespace {

template <class T>
std::vector<double> as_doubles(const std::vector<T>& values) {
  return {values.begin(), values.end()};
}

template <class T>
std::vector<double> floating(const std::string& name, const std::vector<double>& args) {
  const Shape shape{static_cast<std::size_t>(args[0])};
  Tensor<T> x = Tensor<T>::empty(shape);
  if (name == "rand") x = rand<T>(shape);
  if (name == "randn") x = randn<T>(shape);
  if (name == "uniform_") uniform_(x, args[1], args[2]);
  if (name == "normal_") normal_(x, args[1], args[2]);
  return as_doubles(x.to_vector());
}

std::vector<double> call(const Reference& reference) {
  const std::string name = reference["call"].text();
  const std::vector<double> args = reference["args"].numbers();
  const auto n = static_cast<std::size_t>(args[0]);
  if (name == "randperm") return as_doubles(randperm(n));
  if (name == "randint")
    return as_doubles(
        randint<double>(static_cast<std::int64_t>(args[1]), static_cast<std::int64_t>(args[2]), {n}).to_vector());
  return reference["dtype"].text() == "float" ? floating<float>(name, args) : floating<double>(name, args);
}

bool is_normal(const Reference& reference) {
  const std::string name = reference["call"].text();
  return name == "randn" || name == "normal_";
}

}  // namespace

BOOST_AUTO_TEST_CASE(streams_are_torchs) {
  for (const Reference stream : Reference::file("random")["streams"]) {
    manual_seed(static_cast<std::uint64_t>(stream["seed"].number()));
    for (const Reference step : stream["calls"]) {
      // uniform numbers bit for bit; normal ones up to the rounding of log and cos (torch's own, vectorised, in float)
      const bool single = step.contains("dtype") && step["dtype"].text() == "float";
      check_close(call(step), step["values"].numbers(), !is_normal(step) ? 0 : single ? 2e-6 : 1e-14, step.where());
    }
  }
}

BOOST_AUTO_TEST_CASE(linear_begins_as_torchs) {
  const auto agree = [](const Reference& reference, auto zero) {
    using T = decltype(zero);
    manual_seed(static_cast<std::uint64_t>(reference["seed"].number()));
    const Linear<T> layer(static_cast<std::size_t>(reference["in"].number()),
                          static_cast<std::size_t>(reference["out"].number()), reference.contains("bias"));
    check_close(layer.weight.value(), reference["weight"].tensor<T>(), 0, reference.where());
    BOOST_TEST(layer.bias.defined() == reference.contains("bias"));
    if (layer.bias.defined()) check_close(layer.bias.value(), reference["bias"].tensor<T>(), 0, reference.where());
  };
  for (const Reference reference : Reference::file("random")["linear"])
    reference["dtype"].text() == "float" ? agree(reference, 0.0f) : agree(reference, 0.0);
}

BOOST_AUTO_TEST_CASE(a_state_that_was_kept_goes_on_where_it_was) {
  Generator generator(3);
  Tensor<double> x = Tensor<double>::empty({3});
  normal_(x, 0, 1, generator);  // three: the fourth normal number is kept for later
  const std::string state = generator.state();
  normal_(x, 0, 1, generator);
  Generator other(99);
  other.set_state(state);
  Tensor<double> y = Tensor<double>::empty({3});
  normal_(y, 0, 1, other);
  BOOST_TEST((x == y));
  BOOST_TEST(other.initial_seed() == 3u);
  BOOST_TEST(other.random() == generator.random());
}

// The program's locale may group digits and use a decimal comma.
BOOST_AUTO_TEST_CASE(a_state_is_the_same_in_every_locale) {
  struct Comma : std::numpunct<char> {
    char do_decimal_point() const override { return ','; }
    char do_thousands_sep() const override { return '.'; }
    std::string do_grouping() const override { return "\3"; }
  };
  Generator generator(123456), other(1);
  generator.normal();
  const std::string state = generator.state();
  const std::locale before = std::locale::global(std::locale(std::locale::classic(), new Comma));
  const std::string here = generator.state();
  other.set_state(state);
  std::locale::global(before);
  BOOST_TEST(here == state);
  BOOST_TEST(other.state() == state);
}

BOOST_AUTO_TEST_CASE(a_state_that_state_did_not_write_is_refused) {
  Generator generator(3);
  const std::uint32_t next = Generator(3).random();
  check_throws<ParseError>([&] { generator.set_state(""); }, {"state"});
  check_throws<ParseError>([&] { generator.set_state("3 0 0x0p+0 1 2 3"); }, {"state"});
  check_throws<ParseError>([&] { generator.set_state("nonsense"); }, {"state"});
  std::string damaged = generator.state();
  damaged.replace(damaged.find("0x0p+0"), 6, "0x1,8p");
  check_throws<ParseError>([&] { generator.set_state(damaged); }, {"state"});
  BOOST_TEST(generator.random() == next);  // as it was
}

BOOST_AUTO_TEST_CASE(generators_do_not_disturb_each_other) {
  manual_seed(0);
  const Tensor<float> alone = rand({5});
  manual_seed(0);
  Generator other(1);
  rand({3}, other);
  BOOST_TEST((rand({5}) == alone));
}

BOOST_AUTO_TEST_CASE(a_guard_gives_a_thread_a_default_generator_of_its_own) {
  manual_seed(0);
  const Tensor<float> alone = rand({5});
  manual_seed(0);
  Generator own;
  {
    const GeneratorGuard guard(own);
    manual_seed(7);
    BOOST_TEST(own.initial_seed() == 7u);
    Generator inner(3);
    {
      const GeneratorGuard nested(inner);
      BOOST_TEST(&default_generator() == &inner);
    }
    BOOST_TEST(&default_generator() == &own);
    Generator* elsewhere = nullptr;
    std::thread([&] { elsewhere = &default_generator(); }).join();
    BOOST_TEST((elsewhere != &own && elsewhere != nullptr));
  }
  BOOST_TEST((rand({5}) == alone));
}

BOOST_AUTO_TEST_CASE(empty_tensors_draw_nothing) {
  manual_seed(0);
  BOOST_TEST(randn({0}).numel() == 0u);
  BOOST_TEST(randperm(0).empty());
  const Tensor<float> after = rand({1});
  manual_seed(0);
  BOOST_TEST((rand({1}) == after));
}

BOOST_AUTO_TEST_CASE(an_empty_range_is_refused) {
  check_throws<ValueError>([] { randint(3, 3, {2}); }, {"low < high", "3 and 3"});
  check_throws<ValueError>([] { randint(3, -1, {2}); }, {"3 and -1"});
}
