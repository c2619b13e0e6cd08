#pragma once

#include <cstddef>
#include <string>
#include <vector>

#include "handgrad/metrics/values.hpp"

namespace handgrad {

// Labels are integers. TP, FP, FN, TN count, for one class, the examples rightly or wrongly (T, F) predicted to be in
// it or not (P, N). 0/0 gives 0: scikit-learn's zero_division=0. All of these throw ShapeError for different numbers of
// examples and ValueError for none, or for labels that are not integers.

/// The share of examples whose label was predicted.
double accuracy_score(const Values& y_true, const Values& y_pred);

/// Rows are the true classes, columns the predicted ones.
struct ConfusionMatrix {
  std::vector<long> labels;                      ///< every label of either, ascending
  std::vector<std::vector<std::size_t>> counts;  ///< counts[i][j]: examples of labels[i] that are taken for labels[j]
};
/// Counts which class was taken for which.
ConfusionMatrix confusion_matrix(const Values& y_true, const Values& y_pred);

/// One row of a classification report.
struct ClassScores {
  long label;
  double precision;     ///< TP / (TP + FP)
  double recall;        ///< TP / (TP + FN)
  double f1;            ///< 2TP / (2TP + FP + FN), the harmonic mean of the two
  std::size_t support;  ///< TP + FN
};
/// One entry per label of either, ascending.
std::vector<ClassScores> precision_recall_f1(const Values& y_true, const Values& y_pred);

/// How the classes' scores are combined into one number.
enum class Average {
  Binary,   ///< the score of class 1; there must be no labels but 0 and 1
  Micro,    ///< TP, FP and FN summed over the classes first
  Macro,    ///< mean over the classes
  Weighted  ///< mean over the classes, weighted by their support
};
double precision_score(const Values& y_true, const Values& y_pred, Average average = Average::Binary);
double recall_score(const Values& y_true, const Values& y_pred, Average average = Average::Binary);
double f1_score(const Values& y_true, const Values& y_pred, Average average = Average::Binary);

struct ClassificationReportOptions {
  std::vector<std::string> target_names = {};  ///< one for each label, ascending; empty: the labels themselves
  int digits = 2;
};
/// scikit-learn's table of precision, recall, F1 and support per class, to the character. Also throws ValueError if
/// there are not as many target names as labels.
std::string classification_report(const Values& y_true, const Values& y_pred,
                                  const ClassificationReportOptions& options = {});

}  // namespace handgrad
