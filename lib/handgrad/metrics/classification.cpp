#include "handgrad/metrics/classification.hpp"

#include <algorithm>
#include <set>

#include "handgrad/base/format.hpp"

namespace handgrad {
namespace {

double ratio(double numerator, double denominator) { return denominator == 0 ? 0 : numerator / denominator; }

struct Counts {
  double tp = 0, fp = 0, fn = 0;
  double precision() const { return ratio(tp, tp + fp); }
  double recall() const { return ratio(tp, tp + fn); }
  double f1() const { return ratio(2 * tp, 2 * tp + fp + fn); }
};

Counts counts_of(const ConfusionMatrix& matrix, std::size_t label) {
  Counts counts;
  counts.tp = static_cast<double>(matrix.counts[label][label]);
  for (std::size_t other = 0; other < matrix.labels.size(); ++other) {
    if (other == label) continue;
    counts.fp += static_cast<double>(matrix.counts[other][label]);
    counts.fn += static_cast<double>(matrix.counts[label][other]);
  }
  return counts;
}

ConfusionMatrix count(const char* metric, const Values& y_true, const Values& y_pred) {
  check_metric_arguments(metric, y_true, y_pred);
  const auto truth = y_true.labels(metric, "y_true"), predicted = y_pred.labels(metric, "y_pred");
  std::set<long> labels(truth.begin(), truth.end());
  labels.insert(predicted.begin(), predicted.end());

  ConfusionMatrix matrix{{labels.begin(), labels.end()}, {}};
  matrix.counts.assign(labels.size(), std::vector<std::size_t>(labels.size()));
  const auto index = [&](long label) {
    return static_cast<std::size_t>(std::lower_bound(matrix.labels.begin(), matrix.labels.end(), label) -
                                    matrix.labels.begin());
  };
  for (std::size_t i = 0; i < truth.size(); ++i) ++matrix.counts[index(truth[i])][index(predicted[i])];
  return matrix;
}

std::vector<ClassScores> scores_of(const ConfusionMatrix& matrix) {
  std::vector<ClassScores> scores;
  for (std::size_t i = 0; i < matrix.labels.size(); ++i) {
    const Counts counts = counts_of(matrix, i);
    scores.push_back({matrix.labels[i], counts.precision(), counts.recall(), counts.f1(),
                      static_cast<std::size_t>(counts.tp + counts.fn)});
  }
  return scores;
}

double mean(const std::vector<ClassScores>& scores, double ClassScores::*score, bool weighted) {
  double sum = 0, weights = 0;
  for (const auto& of_class : scores) {
    const double weight = weighted ? static_cast<double>(of_class.support) : 1;
    sum += weight * of_class.*score;
    weights += weight;
  }
  return ratio(sum, weights);
}

double averaged(const char* metric, const Values& y_true, const Values& y_pred, Average average,
                double (Counts::*of_counts)() const, double ClassScores::*score) {
  const ConfusionMatrix matrix = count(metric, y_true, y_pred);
  if (average == Average::Macro || average == Average::Weighted) {
    return mean(scores_of(matrix), score, average == Average::Weighted);
  }
  Counts counts;
  for (std::size_t i = 0; i < matrix.labels.size(); ++i) {
    const long label = matrix.labels[i];
    if (average == Average::Binary && label != 0 && label != 1) {
      throw ValueError(std::string(metric) + ": labels 0 and 1 expected for Average::Binary, got " +
                       std::to_string(label) + "; choose Average::Macro, Micro or Weighted");
    }
    if (average == Average::Binary && label == 0) continue;
    const Counts of_class = counts_of(matrix, i);
    counts.tp += of_class.tp;
    counts.fp += of_class.fp;
    counts.fn += of_class.fn;
  }
  return (counts.*of_counts)();
}

/// Counts characters, not bytes: names may be in any script.
std::size_t characters(const std::string& text) {
  return static_cast<std::size_t>(
      std::count_if(text.begin(), text.end(), [](char c) { return (static_cast<unsigned char>(c) & 0xC0) != 0x80; }));
}

/// Right-aligned in `width` characters.
std::string right(const std::string& text, std::size_t width) {
  return std::string(width - std::min(width, characters(text)), ' ') + text;
}

std::string fixed(double value, int digits) { return formatted("%.*f", digits, value); }

}  // namespace

double accuracy_score(const Values& y_true, const Values& y_pred) {
  check_metric_arguments("accuracy_score", y_true, y_pred);
  const auto truth = y_true.labels("accuracy_score", "y_true"), predicted = y_pred.labels("accuracy_score", "y_pred");
  std::size_t right_ones = 0;
  for (std::size_t i = 0; i < truth.size(); ++i) right_ones += truth[i] == predicted[i];
  return static_cast<double>(right_ones) / static_cast<double>(truth.size());
}

ConfusionMatrix confusion_matrix(const Values& y_true, const Values& y_pred) {
  return count("confusion_matrix", y_true, y_pred);
}

std::vector<ClassScores> precision_recall_f1(const Values& y_true, const Values& y_pred) {
  return scores_of(count("precision_recall_f1", y_true, y_pred));
}

double precision_score(const Values& y_true, const Values& y_pred, Average average) {
  return averaged("precision_score", y_true, y_pred, average, &Counts::precision, &ClassScores::precision);
}

double recall_score(const Values& y_true, const Values& y_pred, Average average) {
  return averaged("recall_score", y_true, y_pred, average, &Counts::recall, &ClassScores::recall);
}

double f1_score(const Values& y_true, const Values& y_pred, Average average) {
  return averaged("f1_score", y_true, y_pred, average, &Counts::f1, &ClassScores::f1);
}

std::string classification_report(const Values& y_true, const Values& y_pred,
                                  const ClassificationReportOptions& options) {
  const auto scores = scores_of(count("classification_report", y_true, y_pred));
  if (!options.target_names.empty() && options.target_names.size() != scores.size()) {
    throw ValueError("classification_report: " + std::to_string(options.target_names.size()) + " target names for " +
                     std::to_string(scores.size()) + " labels");
  }
  if (options.digits < 0 || options.digits > 30) {
    throw ValueError("classification_report: digits from 0 to 30 expected, got " + std::to_string(options.digits));
  }
  const auto name = [&](std::size_t i) {
    return options.target_names.empty() ? std::to_string(scores[i].label) : options.target_names[i];
  };
  std::size_t width = std::max(std::string("weighted avg").size(), static_cast<std::size_t>(options.digits));
  for (std::size_t i = 0; i < scores.size(); ++i) width = std::max(width, characters(name(i)));

  std::size_t examples = 0;
  const auto row = [&](const std::string& title, double precision, double recall, double f1, std::size_t support) {
    std::string line = right(title, width) + " ";
    for (double score : {precision, recall, f1}) line += " " + right(fixed(score, options.digits), 9);
    return line + " " + right(std::to_string(support), 9) + "\n";
  };

  std::string report = right("", width) + " ";
  for (const char* column : {"precision", "recall", "f1-score", "support"}) report += " " + right(column, 9);
  report += "\n\n";
  for (std::size_t i = 0; i < scores.size(); ++i) {
    report += row(name(i), scores[i].precision, scores[i].recall, scores[i].f1, scores[i].support);
    examples += scores[i].support;
  }
  report += "\n" + right("accuracy", width) + " " + right("", 10) + right("", 10) + " " +
            right(fixed(accuracy_score(y_true, y_pred), options.digits), 9) + " " + right(std::to_string(examples), 9) +
            "\n";
  for (const bool weighted : {false, true}) {
    report += row(weighted ? "weighted avg" : "macro avg", mean(scores, &ClassScores::precision, weighted),
                  mean(scores, &ClassScores::recall, weighted), mean(scores, &ClassScores::f1, weighted), examples);
  }
  return report;
}

}  // namespace handgrad
