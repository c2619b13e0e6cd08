// scikit-learn's generators from reference/sklearn.json, and the properties of ours.
#include "handgrad/data/generators.hpp"

#include <algorithm>
#include <cmath>
#include <map>
#include <set>

#include "handgrad/base/errors.hpp"
#include "support/check.hpp"
#include "support/reference.hpp"

using namespace handgrad;
using handgrad::test::check_close;
using handgrad::test::check_throws;
using handgrad::test::Reference;

namespace {

/// One of the case's options as a count, or `otherwise`.
std::size_t count(const Reference& options, const char* key, std::size_t otherwise) {
  return static_cast<std::size_t>(options.number(key, static_cast<double>(otherwise)));
}

void check_samples(const Tensor<double>& x, const Tensor<double>& y, const Reference& expected) {
  check_close(x, expected["x"].tensor<double>(), 1e-12, expected.where() + " x");
  check_close(y.to_vector(), expected["y"].tensor<double>().to_vector(), 1e-12, expected.where() + " y");
  BOOST_TEST((y.shape() == Shape{x.size(0), 1}));
}

}  // namespace

BOOST_AUTO_TEST_CASE(make_regression_agrees_with_scikit_learn) {
  for (const Reference expected : Reference::file("sklearn")["make_regression"]) {
    const Reference given = expected["options"];
    MakeRegressionOptions options;
    options.n_samples = count(given, "n_samples", options.n_samples);
    options.n_features = count(given, "n_features", options.n_features);
    options.n_informative = count(given, "n_informative", options.n_informative);
    options.bias = given.number("bias", 0);
    options.noise = given.number("noise", 0);
    options.shuffle = given.flag("shuffle", true);
    options.random_state = std::uint32_t(given["random_state"].number());
    const auto made = make_regression<double>(options);
    check_samples(made.x, made.y, expected);
    check_close(made.coef, expected["coef"].tensor<double>(), 1e-12, expected.where() + " coef");
  }
}

BOOST_AUTO_TEST_CASE(make_moons_agrees_with_scikit_learn) {
  for (const Reference expected : Reference::file("sklearn")["make_moons"]) {
    const Reference given = expected["options"];
    MakeMoonsOptions options;
    options.n_samples = count(given, "n_samples", options.n_samples);
    options.noise = given.number("noise", 0);
    options.shuffle = given.flag("shuffle", true);
    options.random_state = std::uint32_t(given["random_state"].number());
    const auto made = make_moons<double>(options);
    check_samples(made.x, made.y, expected);
  }
}

BOOST_AUTO_TEST_CASE(make_classification_agrees_with_scikit_learn) {
  for (const Reference expected : Reference::file("sklearn")["make_classification"]) {
    const Reference given = expected["options"];
    MakeClassificationOptions options;
    options.n_samples = count(given, "n_samples", options.n_samples);
    options.n_features = count(given, "n_features", options.n_features);
    options.n_informative = count(given, "n_informative", options.n_informative);
    options.n_redundant = count(given, "n_redundant", options.n_redundant);
    options.n_classes = count(given, "n_classes", options.n_classes);
    options.n_clusters_per_class = count(given, "n_clusters_per_class", options.n_clusters_per_class);
    options.class_sep = given.number("class_sep", options.class_sep);
    options.flip_y = given.number("flip_y", options.flip_y);
    options.random_state = std::uint32_t(given["random_state"].number());
    const auto made = make_classification<double>(options);
    check_samples(made.x, made.y, expected);
  }
}

BOOST_AUTO_TEST_CASE(spirals_are_arms_of_equal_size) {
  const auto made = make_spirals<double>({.n_samples = 300, .n_classes = 3, .noise = 0});
  std::map<double, int> members;
  for (std::size_t i = 0; i < 300; ++i) {
    const double px = made.x.item(i, 0), py = made.x.item(i, 1), arm = made.y.item(i, 0), r = std::hypot(px, py);
    const double angle = 2 * M_PI * (0.75 * r + arm / 3);
    check_close(std::vector{px, py}, std::vector{r * std::cos(angle), r * std::sin(angle)}, 1e-12, "point");
    ++members[arm];
  }
  BOOST_TEST(members.size() == 3u);
  for (const auto& [arm, size] : members) BOOST_TEST(size == 100);
}

// The stream of the notebook: randint for all points, then randn.
BOOST_AUTO_TEST_CASE(xor_draws_corners_then_noise) {
  Generator generator(7), same(7);
  const auto made = make_xor<float>(50, 0.2, generator);
  const auto corners = randint<float>(0, 2, {50, 2}, same);
  const auto noise = randn<float>({50, 2}, same);
  for (std::size_t i = 0; i < 50; ++i) {
    BOOST_TEST(made.y.item(i, 0) == (corners.item(i, 0) + corners.item(i, 1) == 1 ? 1.f : 0.f));
    for (std::size_t j = 0; j < 2; ++j) BOOST_TEST(made.x.item(i, j) == corners.item(i, j) + 0.2f * noise.item(i, j));
  }
}

BOOST_AUTO_TEST_CASE(gabor_is_the_function_plus_noise) {
  const auto made = make_gabor<double>(7, 0);
  check_close(made.x.to_vector(), std::vector<double>{-15, -10, -5, 0, 5, 10, 15}, 1e-12, "x");
  BOOST_TEST(made.y.item(3, 0) == std::sin(3) * std::exp(-9. / 32), boost::test_tools::tolerance(1e-12));
  const double h = 3 + 0.06 * 15 * 5;
  BOOST_TEST(made.y.item(4, 0) == std::sin(h) * std::exp(-h * h / 32), boost::test_tools::tolerance(1e-12));

  Generator generator(1), same(1);
  const auto noisy = make_gabor<double>(7, 0.3, 3, 15, generator),
             noise = Samples<double>{{}, randn<double>({7}, same)};
  for (std::size_t i = 0; i < 7; ++i) {
    BOOST_TEST(noisy.y.item(i, 0) - made.y.item(i, 0) == 0.3 * noise.y.item(i), boost::test_tools::tolerance(1e-9));
  }
}

BOOST_AUTO_TEST_CASE(apples_are_the_notebooks) {
  const auto once = apples(), thrice = apples(3);
  BOOST_TEST((once.x.shape() == Shape{5, 3}));
  BOOST_TEST((thrice.x.shape() == Shape{15, 3} && thrice.y.shape() == Shape{15, 1}));
  BOOST_TEST((thrice.x.rows(10, 15) == once.x && thrice.y.rows(5, 10) == once.y));
  BOOST_TEST((once.y == Tensor<float>{{0}, {1}, {1}, {0}, {1}}));
}

BOOST_AUTO_TEST_CASE(what_has_no_meaning_is_refused) {
  check_throws<ValueError>([] { make_regression<double>({.n_samples = 0}); }, {"make_regression"});
  check_throws<ValueError>([] { make_moons<double>({.noise = -1}); }, {"make_moons", "noise"});
  check_throws<ValueError>([] { make_moons<double>({.noise = NAN}); }, {"make_moons", "noise"});
  check_throws<ValueError>([] { make_classification<double>({.n_features = 3}); }, {"make_classification"});
  check_throws<ValueError>([] { make_classification<double>({.n_classes = 3}); }, {"2^n_informative"});
  check_throws<ValueError>([] { make_spirals<double>({.n_classes = 0}); }, {"make_spirals"});
  check_throws<ValueError>([] { make_xor<float>(0); }, {"make_xor"});
  check_throws<ValueError>([] { make_gabor<float>(3, -1); }, {"make_gabor"});
  check_throws<ValueError>([] { apples(0); }, {"apples"});
}
