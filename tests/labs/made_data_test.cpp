// The labs' synthetic data has the form of the real files.
#include "common/made_data.hpp"

#include <algorithm>
#include <map>
#include <set>

#include "handgrad/base/errors.hpp"
#include "support/check.hpp"

using namespace handgrad;
using handgrad::test::check_throws;
using handgrad::labs::make_census;
using handgrad::labs::make_digits;

BOOST_AUTO_TEST_CASE(census_looks_like_adult) {
  const Table census = make_census(20000);
  BOOST_TEST(census.rows() == 20000u);
  const std::vector<std::string> names{
      "age",          "workclass", "fnlwgt", "education",    "education-num", "marital-status", "occupation",
      "relationship", "race",      "sex",    "capital-gain", "capital-loss",  "hours-per-week", "native-country",
      "wage"};
  BOOST_TEST(census.names() == names, boost::test_tools::per_element());
  const std::map<std::string, std::size_t> categories{{"workclass", 9},   {"education", 16},   {"marital-status", 7},
                                                      {"occupation", 15}, {"relationship", 6}, {"race", 5},
                                                      {"sex", 2},         {"wage", 2}};
  for (const auto& [name, number] : categories) {
    const auto found = census.unique(name);
    BOOST_TEST(found.size() == number, name);
    for (const auto& value : found) BOOST_TEST(value.front() == ' ');
  }
  BOOST_TEST(census.unique("native-country").size() >= 40u);  // of 42; some have one row in ten thousand

  const auto high = census.indicator("wage", " >50K");
  const double share = static_cast<double>(std::count(high.begin(), high.end(), 1)) / 20000;
  BOOST_TEST_MESSAGE("share of high wages: " << share);
  BOOST_TEST((share > 0.2 && share < 0.28), share);
  BOOST_TEST((make_census(50, 1).text("wage") == make_census(50, 1).text("wage")));
  BOOST_TEST((make_census(50, 1).numbers("fnlwgt") != make_census(50, 2).numbers("fnlwgt")));
}

BOOST_AUTO_TEST_CASE(digits_have_the_form_of_mnist) {
  const auto made = make_digits<float>(100);
  BOOST_TEST((made.x.shape() == Shape{100, 28, 28}));
  BOOST_TEST((made.y.shape() == Shape{100}));
  double sum = 0;
  for (const float pixel : made.x.to_vector()) {
    BOOST_TEST_REQUIRE((pixel >= 0 && pixel <= 255 && pixel == std::floor(pixel)));
    sum += pixel;
  }
  BOOST_TEST_MESSAGE("mean ink: " << sum / 78400);
  BOOST_TEST((sum / 78400 > 15 && sum / 78400 < 55));  // MNIST's is 33
  BOOST_TEST(made.y.item(13) == 3);
  BOOST_TEST((make_digits<float>(20).x == made.x.rows(0, 20)));
  BOOST_TEST(!(made.x.rows(3, 4) == made.x.rows(13, 14)));  // two threes by the same hand differ
}

BOOST_AUTO_TEST_CASE(no_rows_are_refused) {
  check_throws<ValueError>([] { make_census(0); }, {"make_census"});
  check_throws<ValueError>([] { make_digits(0); }, {"make_digits"});
}
