// train_test_split against scikit-learn's, from reference/sklearn.json: the same rows in the same order.
#include "handgrad/data/split.hpp"

#include <algorithm>
#include <cinttypes>

#include "handgrad/base/errors.hpp"
#include "support/check.hpp"
#include "support/reference.hpp"

using namespace handgrad;
using handgrad::test::check_close;
using handgrad::test::check_throws;
using handgrad::test::Reference;

namespace {

std::vector<long> labels(const Reference& reference) {
  if (!reference.contains("labels")) return {};
  const auto numbers = reference["labels"].numbers();
  return {numbers.begin(), numbers.end()};
}

/// The 64-bit FNV-1a hash of the indices as little-endian 64-bit integers, in hexadecimal, as in the reference.
std::string fnv1a(const std::vector<std::size_t>& indices) {
  std::uint64_t hash = 0xCBF29CE484222325;
  for (const std::uint64_t index : indices) {
    for (int byte = 0; byte < 8; ++byte) hash = (hash ^ (index >> 8 * byte & 0xFF)) * 0x100000001B3;
  }
  char text[17];
  std::snprintf(text, sizeof text, "%016" PRIx64, hash);
  return text;
}

void check_digest(const std::vector<std::size_t>& rows, const Reference& expected) {
  BOOST_TEST(rows.size() == static_cast<std::size_t>(expected["n"].number()));
  BOOST_TEST(fnv1a(rows) == expected["fnv1a"].text(), expected.where());
  check_close(std::vector<std::size_t>(rows.begin(), rows.begin() + 5), expected["first"].numbers(), 0,
              expected.where());
}

}  // namespace

BOOST_AUTO_TEST_CASE(splits_agree_with_scikit_learn) {
  for (const Reference expected : Reference::file("sklearn")["train_test_split"]) {
    TrainTestSplitOptions options;
    options.test_size = expected["test_size"].number();
    options.random_state = static_cast<std::uint32_t>(expected["seed"].number());
    options.stratify = labels(expected);
    const auto split = train_test_split(static_cast<std::size_t>(expected["n"].number()), options);
    check_close(split.train, expected["train"].numbers(), 0, expected.where() + " train");
    check_close(split.test, expected["test"].numbers(), 0, expected.where() + " test");
  }
}

// The notebook's split: 32561 rows, 7841 of them positive, 20 % for the test and 20 % of the rest for validation.
BOOST_AUTO_TEST_CASE(notebook_003_splits_agree_with_scikit_learn) {
  for (const Reference expected : Reference::file("sklearn")["stratified_80_20"]) {
    const auto n = static_cast<std::size_t>(expected["n"].number()), positives = std::size_t{7841};
    std::vector<long> y(n), y_train;
    for (std::size_t i = 0; i < n; ++i) y[i] = i * positives % n < positives;
    TrainTestSplitOptions options{.test_size = 0.2, .random_state = std::uint32_t(expected["seed"].number())};
    options.stratify = y;
    const auto outer = train_test_split(n, options);
    for (const std::size_t row : outer.train) y_train.push_back(y[row]);
    options.stratify = y_train;
    const auto inner = train_test_split(outer.train.size(), options);

    const auto rows = [&](const std::vector<std::size_t>& of_outer) {
      std::vector<std::size_t> result;
      for (const std::size_t i : of_outer) result.push_back(outer.train[i]);
      return result;
    };
    BOOST_TEST(inner.train.size() == 20838u);
    check_digest(rows(inner.train), expected["train"]);
    check_digest(rows(inner.test), expected["valid"]);
    check_digest(outer.test, expected["test"]);
  }
}

BOOST_AUTO_TEST_CASE(what_scikit_learn_refuses_is_refused) {
  for (const Reference expected : Reference::file("sklearn")["train_test_split_refused"]) {
    TrainTestSplitOptions options;
    options.test_size = expected["test_size"].number();
    options.stratify = labels(expected);
    if (options.test_size == 1 && options.stratify.empty()) continue;  // a share of 1.0 there, a single row here
    check_throws<ValueError>([&] { train_test_split(std::size_t(expected["n"].number()), options); },
                             {"train_test_split"});
  }
}

BOOST_AUTO_TEST_CASE(sizes_are_shares_or_numbers) {
  const auto sizes = [](TrainTestSplitOptions options) {
    const auto split = train_test_split(10, options);
    return std::pair{split.train.size(), split.test.size()};
  };
  BOOST_TEST((sizes({}) == std::pair{std::size_t{7}, std::size_t{3}}));  // 2.5 test rows, rounded up
  BOOST_TEST((sizes({.test_size = 4}) == std::pair{std::size_t{6}, std::size_t{4}}));
  BOOST_TEST((sizes({.test_size = 0.2, .train_size = 0.55}) == std::pair{std::size_t{5}, std::size_t{2}}));
  const auto in_order = train_test_split(5, {.test_size = 2, .shuffle = false});
  check_close(in_order.train, std::vector<double>{0, 1, 2}, 0, "train");
  check_close(in_order.test, std::vector<double>{3, 4}, 0, "test");

  check_throws<ValueError>([&] { sizes({.test_size = 0.6, .train_size = 0.6}); }, {"10 rows", "6 training and 6 test"});
  check_throws<ValueError>([&] { sizes({.test_size = 2.5}); }, {"test_size = 2.5", "1 to 9"});
  check_throws<ValueError>([&] { sizes({.test_size = NAN}); }, {"test_size"});
  check_throws<ValueError>([&] { sizes({.test_size = -1}); }, {"test_size"});
  check_throws<ValueError>([&] { train_test_split(0); }, {"0 rows"});
  check_throws<ValueError>([&] { sizes({.stratify = {0, 1}}); }, {"2 classes", "10 rows"});
  check_throws<ValueError>([&] { sizes({.shuffle = false, .stratify = std::vector<long>(10)}); }, {"shuffle"});
  check_throws<ValueError>([&] { sizes({.stratify = {0, 0, 0, 0, 0, 0, 0, 0, 0, 7}}); }, {"class 7", "single row"});
}

BOOST_AUTO_TEST_CASE(tensors_are_split_by_rows) {
  const Tensor<float> x{{0, 10}, {1, 11}, {2, 12}, {3, 13}}, y{{0}, {1}, {2}, {3}};
  const auto [x_train, x_test, y_train, y_test] = train_test_split(x, y, {.test_size = 1, .random_state = 3});
  const auto rows = train_test_split(4, {.test_size = 1, .random_state = 3});
  BOOST_TEST((x_train.shape() == Shape{3, 2}));
  BOOST_TEST((y_test.shape() == Shape{1, 1}));
  for (std::size_t i = 0; i < 3; ++i) {
    BOOST_TEST(y_train.item(i, 0) == static_cast<float>(rows.train[i]));
    BOOST_TEST(x_train.item(i, 1) == static_cast<float>(rows.train[i] + 10));
  }
  BOOST_TEST(x_test.item(0, 0) == static_cast<float>(rows.test[0]));
  check_throws<ShapeError>([&] { train_test_split(x, y.rows(0, 3)); }, {"(4, 2)", "(3, 1)"});
  check_throws<ShapeError>([&] { take_rows<float>(x, std::vector<std::size_t>{1, 4}); }, {"row 4", "(4, 2)"});
}
