// Scalers, one-hot encoding and class weights against scikit-learn's, from reference/sklearn.json and metrics.json.
#include "handgrad/data/preprocessing.hpp"

#include <cmath>

#include "handgrad/base/errors.hpp"
#include "handgrad/base/random.hpp"
#include "handgrad/losses/bce.hpp"
#include "support/check.hpp"
#include "support/reference.hpp"

using namespace handgrad;
using handgrad::test::check_close;
using handgrad::test::check_throws;
using handgrad::test::Reference;

namespace {

template <class Scaler>
void check_scaler(Scaler scaler, const Reference& expected) {
  const auto x = expected["x"].tensor<double>(), fresh = expected["new"].tensor<double>();
  scaler.fit(x);
  check_close(scaler.transform(x), expected["x_scaled"].tensor<double>(), 1e-12, expected.where() + " x");
  check_close(scaler.transform(fresh), expected["new_scaled"].tensor<double>(), 1e-12, expected.where() + " new");
  check_close(scaler.inverse_transform(scaler.transform(fresh)), expected["new_back"].tensor<double>(), 1e-12,
              expected.where() + " back");
  const auto stored = Scaler::from_json(scaler.to_json());
  BOOST_TEST((stored.transform(fresh) == scaler.transform(fresh)), expected.where() << " stored");
}

/// A reference's list of pairs as a table with the columns "first" and "second".
Table pairs(const Reference& rows) {
  Table::Text first, second;
  for (const Reference row : rows) {
    first.push_back(row[std::size_t{0}].text());
    second.push_back(row[std::size_t{1}].text());
  }
  Table table;
  table.add("first", first);
  table.add("second", second);
  return table;
}

}  // namespace

BOOST_AUTO_TEST_CASE(scalers_agree_with_scikit_learn) {
  for (const Reference expected : Reference::file("sklearn")["scalers"]) {
    if (expected["scaler"].text() == "StandardScaler") {
      check_scaler(StandardScaler(), expected);
      StandardScaler scaler;
      scaler.fit(expected["x"].tensor<double>());
      check_close(scaler.mean(), expected["mean"].numbers(), 1e-12, expected.where() + " mean");
      check_close(scaler.scale(), expected["scale"].numbers(), 1e-12, expected.where() + " scale");
    } else {
      const auto range = expected["feature_range"].numbers();
      check_scaler(MinMaxScaler(range[0], range[1]), expected);
    }
  }
}

// The fitted minimum and maximum map to the ends of the range exactly, and back: BCELoss rejects a target of
// 1.0000000000000002.
BOOST_AUTO_TEST_CASE(the_least_and_the_greatest_become_the_ends_exactly) {
  const std::pair<double, double> ranges[] = {{0, 1}, {-1, 1}, {0.1, 0.3}, {-0.7, 1e3}};
  Generator generator(3);
  for (const auto& [low, high] : ranges)
    for (int i = 0; i < 1000; ++i) {
      double a = i == 0 ? 0.6 : generator.uniform<double>(), b = i == 0 ? 0.9 : a + generator.uniform<double>();
      if (i % 3 == 1) a *= 1e6, b *= 1e6;
      if (a == b) continue;
      MinMaxScaler scaler(low, high);
      const Tensor<double> x{{a}, {b}};
      scaler.fit(x);
      BOOST_TEST((scaler.transform(x) == Tensor<double>{{low}, {high}}),
                 a << " and " << b << " to " << low << ", " << high);
      BOOST_TEST((scaler.inverse_transform(Tensor<double>{{low}, {high}}) == x), a << " and " << b << " back");
    }
}

BOOST_AUTO_TEST_CASE(scaled_numbers_can_be_targets_of_a_loss_on_probabilities) {
  MinMaxScaler scaler;
  const Tensor<double> x{{0.6}, {0.9}};
  scaler.fit(x);
  BCELoss<double> bce;
  BOOST_TEST(bce.forward(Tensor<double>{{0.5}, {0.5}}, scaler.transform(x)).item() == std::log(2.0),
             boost::test_tools::tolerance(1e-15));
}

// 0.1 summed a million times is 0.1·10⁶ + 1.3·10⁻⁶.
BOOST_AUTO_TEST_CASE(the_mean_of_a_long_column_is_corrected_once) {
  StandardScaler scaler;
  scaler.fit(full<double>({1000000, 1}, 0.1));
  BOOST_TEST(std::abs(scaler.mean()[0] - 0.1) <= 1e-17);
}

// Two neighbouring doubles are one value up to rounding, not a spread.
BOOST_AUTO_TEST_CASE(columns_constant_up_to_rounding_are_not_blown_up) {
  StandardScaler scaler;
  scaler.fit(Tensor<double>({2, 1}, {1e8, std::nextafter(1e8, 2e8)}));
  BOOST_TEST(scaler.scale()[0] == 1);
}

BOOST_AUTO_TEST_CASE(one_hot_agrees_with_scikit_learn) {
  for (const Reference expected : Reference::file("sklearn")["one_hot"]) {
    OneHotEncoder encoder;
    encoder.fit(pairs(expected["fit"]), {"first", "second"});
    for (std::size_t c = 0; c < 2; ++c) {
      std::vector<std::string> categories;
      for (const Reference category : expected["categories"][c]) categories.push_back(category.text());
      BOOST_TEST(encoder.categories()[c] == categories, boost::test_tools::per_element());
    }
    for (std::size_t i = 0; i < encoder.feature_names().size(); ++i) {
      BOOST_TEST(encoder.feature_names()[i] == expected["names"][i].text());
    }
    const auto stored = OneHotEncoder::from_json(encoder.to_json());
    for (const OneHotEncoder& each : {encoder, stored}) {
      check_close(each.transform<double>(pairs(expected["fit"])), expected["fit_encoded"].tensor<double>(), 0, "fit");
      check_close(each.transform<double>(pairs(expected["new"])), expected["new_encoded"].tensor<double>(), 0, "new");
    }
  }
}

BOOST_AUTO_TEST_CASE(class_weights_agree_with_scikit_learn) {
  for (const Reference expected : Reference::file("metrics")["class_weight"]) {
    const auto y = expected["y"].numbers(), classes = expected["classes"].numbers();
    const auto weights = compute_class_weight("balanced", {classes.begin(), classes.end()}, {y.begin(), y.end()});
    check_close(weights, expected["balanced"].numbers(), 1e-15, expected.where());
  }
  check_throws<ValueError>([] { compute_class_weight("other", {0, 1}, {0, 1}); }, {"balanced", "other"});
  check_throws<ValueError>([] { compute_class_weight("balanced", {0}, {0, 1}); }, {"label 1"});
  check_throws<ValueError>([] { compute_class_weight("balanced", {0, 1, 2}, {0, 1}); }, {"class 2"});
  check_throws<ValueError>([] { compute_class_weight("balanced", {0, 1}, {}); }, {"no labels"});
}

BOOST_AUTO_TEST_CASE(columns_are_scaled_and_encoded_side_by_side) {
  Table table;
  table.add("a", Table::Numbers{1, 3});
  table.add("city", Table::Text{"Riga", "Oslo"});
  table.add("b", Table::Numbers{10, 20});
  ColumnTransformer transformer({.standard = {"b"}, .min_max = {"a"}, .one_hot = {"city"}});
  check_throws<StateError>([&] { transformer.transform(table); }, {"fit"});
  transformer.fit(table);
  const Tensor<float> expected{{-1, 0, 0, 1}, {1, 1, 1, 0}};
  check_close(transformer.transform(table), expected, 0, "transformed");
  const std::vector<std::string> names{"b", "a", "city_Oslo", "city_Riga"};
  BOOST_TEST(transformer.feature_names() == names, boost::test_tools::per_element());

  const auto stored = ColumnTransformer::from_json(transformer.to_json());
  check_close(stored.transform(table), expected, 0, "stored");
  BOOST_TEST(stored.feature_names() == names, boost::test_tools::per_element());
}

BOOST_AUTO_TEST_CASE(missing_numbers_are_refused_with_their_place) {
  Table table;
  table.add("a", Table::Numbers{1, NAN, 3});
  table.set_origin("people.csv", {2, 3, 5});
  ColumnTransformer transformer({.standard = {"a"}});
  check_throws<ParseError>([&] { transformer.fit(table); }, {"people.csv", "line 3", "\"a\"", "missing"});
  transformer.fit(table.drop_missing());
  StandardScaler scaler;
  check_throws<ValueError>([&] { scaler.fit(Tensor<double>{{1, 2}, {3, NAN}}); }, {"row 1", "column 1", "nan"});
}

BOOST_AUTO_TEST_CASE(misuse_is_refused) {
  StandardScaler standard;
  MinMaxScaler min_max;
  OneHotEncoder encoder;
  const Tensor<double> x{{1, 2}, {3, 4}};
  check_throws<StateError>([&] { standard.transform(x); }, {"StandardScaler", "fit"});
  check_throws<StateError>([&] { min_max.inverse_transform(x); }, {"MinMaxScaler", "fit"});
  check_throws<StateError>([&] { encoder.transform(Table()); }, {"OneHotEncoder", "fit"});
  check_throws<ShapeError>([&] { standard.fit(Tensor<double>{1, 2}); }, {"(N, D)", "(2,)"});
  check_throws<ValueError>([&] { standard.fit(Tensor<double>::empty({0, 2})); }, {"(0, 2)"});
  standard.fit(x);
  check_throws<ShapeError>([&] { standard.transform(Tensor<double>{{1}}); }, {"(N, 2)", "(1, 1)"});
  check_throws<ValueError>([] { MinMaxScaler(1, 1); }, {"low < high"});
  Table table;
  table.add("n", Table::Numbers{1});
  check_throws<ValueError>([&] { encoder.fit(table, {"n"}); }, {"\"n\"", "numbers"});
  check_throws<ValueError>([&] { encoder.fit(table, {"m"}); }, {"\"m\"", "\"n\""});

  for (const char* damaged :
       {"", "{", "[]", "{\"mean\":[1]}", "{\"mean\":[1],\"scale\":[]}", "{\"mean\":1,\"scale\":2}"}) {
    check_throws<ParseError>([&] { StandardScaler::from_json(damaged); }, {"StandardScaler"});
  }
  check_throws<ParseError>([] { ColumnTransformer::from_json("{\"columns\":3}"); }, {"ColumnTransformer"});
  for (const char* scale : {"0", "-1", "null", "\"1\"", "1e999"})
    check_throws<ParseError>([&] { StandardScaler::from_json(R"({"mean":[1],"scale":[)" + std::string(scale) + "]}"); },
                             {"StandardScaler"});
  check_throws<ParseError>([] { MinMaxScaler::from_json(R"({"low":1,"high":0,"min":[0],"max":[1]})"); }, {"low"});
  check_throws<ParseError>([] { MinMaxScaler::from_json(R"({"low":0,"high":1,"min":[2],"max":[1]})"); }, {"min"});
}
