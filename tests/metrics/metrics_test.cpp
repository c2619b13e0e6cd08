// The metrics against scikit-learn's, from reference/metrics.json.
#include <cmath>

#include "handgrad/base/errors.hpp"
#include "handgrad/metrics/classification.hpp"
#include "handgrad/metrics/ranking.hpp"
#include "handgrad/metrics/regression.hpp"
#include "support/check.hpp"
#include "support/reference.hpp"

using namespace handgrad;
using handgrad::test::check_close;
using handgrad::test::check_throws;
using handgrad::test::Reference;

namespace {

constexpr double tolerance = 1e-14;

void check_averages(const Values& truth, const Values& predicted, Average average, const Reference& expected) {
  const std::vector<double> here{precision_score(truth, predicted, average), recall_score(truth, predicted, average),
                                 f1_score(truth, predicted, average)};
  check_close(here, std::vector{expected["precision"].number(), expected["recall"].number(), expected["f1"].number()},
              tolerance, expected.where());
}

}  // namespace

BOOST_AUTO_TEST_CASE(classification_agrees_with_scikit_learn) {
  for (const Reference expected : Reference::file("metrics")["classification"]) {
    const Values truth(expected["truth"].numbers()), predicted(expected["predicted"].numbers());
    BOOST_TEST(accuracy_score(truth, predicted) == expected["accuracy"].number());

    const ConfusionMatrix matrix = confusion_matrix(truth, predicted);
    check_close(matrix.labels, expected["labels"].numbers(), 0, expected.where() + " labels");
    for (std::size_t i = 0; i < matrix.labels.size(); ++i) {
      check_close(matrix.counts[i], expected["confusion"][i].numbers(), 0, expected.where() + " confusion");
    }

    std::vector<double> precision, recall, f1, support;
    for (const ClassScores& of_class : precision_recall_f1(truth, predicted)) {
      precision.push_back(of_class.precision);
      recall.push_back(of_class.recall);
      f1.push_back(of_class.f1);
      support.push_back(static_cast<double>(of_class.support));
    }
    const Reference each = expected["each"];
    check_close(precision, each["precision"].numbers(), tolerance, expected.where() + " precision");
    check_close(recall, each["recall"].numbers(), tolerance, expected.where() + " recall");
    check_close(f1, each["f1"].numbers(), tolerance, expected.where() + " f1");
    check_close(support, each["support"].numbers(), 0, expected.where() + " support");

    check_averages(truth, predicted, Average::Macro, expected["macro"]);
    check_averages(truth, predicted, Average::Micro, expected["micro"]);
    check_averages(truth, predicted, Average::Weighted, expected["weighted"]);
    if (expected.contains("binary")) check_averages(truth, predicted, Average::Binary, expected["binary"]);

    // If no example is right, scikit-learn counts in floats and prints the support as "2.0".
    if (expected["name"].text() == "all_wrong") continue;
    BOOST_TEST(classification_report(truth, predicted) == expected["report"].text());
    std::vector<std::string> names;
    for (const long label : matrix.labels) names.push_back("class " + std::to_string(label));
    BOOST_TEST(classification_report(truth, predicted, {.target_names = names, .digits = 3}) ==
               expected["report_named"].text());
  }
}

BOOST_AUTO_TEST_CASE(ranking_agrees_with_scikit_learn) {
  for (const Reference expected : Reference::file("metrics")["ranking"]) {
    const Values truth(expected["truth"].numbers()), scores(expected["scores"].numbers());
    for (const bool drop : {true, false}) {
      const Reference curve = expected[drop ? "roc" : "roc_full"];
      const RocCurve here = roc_curve(truth, scores, drop);
      check_close(here.fpr, curve["fpr"].numbers(), tolerance, curve.where() + " fpr");
      check_close(here.tpr, curve["tpr"].numbers(), tolerance, curve.where() + " tpr");
      check_close(here.thresholds, curve["thresholds"].numbers(), 0, curve.where() + " thresholds");
    }
    check_close(std::vector{roc_auc_score(truth, scores), average_precision_score(truth, scores)},
                std::vector{expected["auc"].number(), expected["average_precision"].number()}, tolerance,
                expected.where() + " auc and average precision");
    const PrecisionRecallCurve here = precision_recall_curve(truth, scores);
    const Reference curve = expected["pr"];
    check_close(here.precision, curve["precision"].numbers(), tolerance, curve.where() + " precision");
    check_close(here.recall, curve["recall"].numbers(), tolerance, curve.where() + " recall");
    check_close(here.thresholds, curve["thresholds"].numbers(), 0, curve.where() + " thresholds");
  }
}

BOOST_AUTO_TEST_CASE(the_optimal_threshold_is_the_best_of_all) {
  for (const Reference expected : Reference::file("metrics")["ranking"]) {
    const Values truth(expected["truth"].numbers()), scores(expected["scores"].numbers());
    const auto best = optimal_threshold(precision_recall_curve(truth, scores));
    const auto f1_at = [&](double threshold) {
      std::vector<double> predicted;
      for (const double score : scores) predicted.push_back(score >= threshold);
      return f1_score(truth, predicted);
    };
    BOOST_TEST(std::abs(f1_at(best.threshold) - best.f1) < tolerance, expected.where());
    for (const double score : scores) BOOST_TEST(f1_at(score) <= best.f1 + tolerance);
  }
  // Of two equally good thresholds the lower; and a curve without true positives does not divide by 0.
  BOOST_TEST(optimal_threshold({{0.5, 0.5, 1}, {1, 1, 0}, {0.1, 0.2}}).index == 0u);
  BOOST_TEST(optimal_threshold({{0, 1}, {0, 0}, {0.3}}).f1 == 0);
  check_throws<ValueError>([] { optimal_threshold({}); }, {"precision_recall_curve"});
}

BOOST_AUTO_TEST_CASE(regression_agrees_with_scikit_learn) {
  for (const Reference expected : Reference::file("metrics")["regression"]) {
    const Values truth(expected["truth"].numbers()), predicted(expected["predicted"].numbers());
    check_close(std::vector{mean_squared_error(truth, predicted), mean_absolute_error(truth, predicted)},
                std::vector{expected["mse"].number(), expected["mae"].number()}, tolerance, expected.where());
    if (truth.size() > 1) {
      check_close(std::vector{r2_score(truth, predicted)}, std::vector{expected["r2"].number()}, tolerance,
                  expected.where());
    } else {  // NaN with a warning in scikit-learn
      check_throws<ValueError>([&] { r2_score(truth, predicted); }, {"r2_score", "2 examples"});
    }
  }
  BOOST_TEST(r2_score({0.1, 0.1, 0.1}, {0.1, 0.1, 0.1}) == 1);  // the mean of three 0.1 is not 0.1
  BOOST_TEST(r2_score({0.1, 0.1, 0.1}, {0.1, 0.1, 0.2}) == 0);
}

BOOST_AUTO_TEST_CASE(tensors_are_taken_as_one_value_per_example) {
  const Tensor<float> y{{0}, {1}, {1}}, p{{0.2}, {0.9}, {0.4}};
  BOOST_TEST(roc_auc_score(y, p) == 1);
  BOOST_TEST(accuracy_score(y, Tensor<double>{0, 1, 0}) == 2. / 3);
  check_throws<ShapeError>([] { accuracy_score(Tensor<float>{{1, 0}, {0, 1}}, {0, 1}); }, {"(2, 2)"});
}

BOOST_AUTO_TEST_CASE(misuse_is_refused) {
  check_throws<ShapeError>([] { accuracy_score({0, 1}, {0}); }, {"accuracy_score", "2", "1"});
  check_throws<ValueError>([] { mean_squared_error(std::vector<double>{}, std::vector<double>{}); }, {"no examples"});
  check_throws<ValueError>([] { f1_score({0, 1}, {0.2, 0.7}); }, {"whole numbers", "[0]", "0.2"});
  check_throws<ValueError>([] { f1_score({0, 2}, {0, 2}); }, {"got 2", "Macro"});
  check_throws<ValueError>([] { mean_absolute_error({0, NAN}, {0, 1}); }, {"y_true[1]", "nan"});
  check_throws<ValueError>([] { roc_curve({0, 1}, {0, INFINITY}); }, {"prediction[1]", "inf"});
  check_throws<ValueError>([] { roc_auc_score({0, 2}, {0, 1}); }, {"y_true[1] is 2"});
  for (const double only : {0., 1.}) {
    const Values truth{only, only};
    const std::string label = only == 0 ? "labels are 0" : "labels are 1";
    check_throws<ValueError>([&] { roc_auc_score(truth, {1, 2}); }, {"roc_auc_score", label.c_str(), "both classes"});
    check_throws<ValueError>([&] { roc_curve(truth, {1, 2}); }, {"roc_curve", label.c_str()});
    check_throws<ValueError>([&] { precision_recall_curve(truth, {1, 2}); }, {label.c_str()});
    check_throws<ValueError>([&] { average_precision_score(truth, {1, 2}); }, {label.c_str()});
  }
  check_throws<ValueError>(
      [] {
        classification_report({0, 1}, {0, 1}, {.target_names = {"a"}});
      },
      {"1 target names for 2"});
}

BOOST_AUTO_TEST_CASE(a_report_is_as_wide_as_its_longest_name_in_any_script) {
  const auto report = [](const std::string& name) {
    return classification_report({0, 1}, {0, 1}, {.target_names = {"a", name}});
  };
  std::string latin = report("a long name, 19 ch."), cyrillic = report("довга назва, 19 зн.");
  latin.replace(latin.find("a long"), 19, "");
  cyrillic.replace(cyrillic.find("довга"), std::string("довга назва, 19 зн.").size(), "");
  BOOST_TEST(latin == cyrillic);
  BOOST_TEST(latin.find(std::string(20, ' ') + " precision") == 0u);
}
