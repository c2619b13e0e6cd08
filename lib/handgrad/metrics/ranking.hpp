#pragma once

#include <cstddef>
#include <vector>

#include "handgrad/metrics/values.hpp"

namespace handgrad {

// How well a score ranks positive examples above negative ones. Labels are 0 or 1, the score any number: logits do as
// well as probabilities, and examples with equal scores form one step of the curve. All of these throw ShapeError for
// different numbers of labels and scores, and ValueError for none, for scores that are not finite, for labels other
// than 0 and 1, and for labels of one class only, where the curves are undefined.

/// The points of a ROC curve.
struct RocCurve {
  std::vector<double> fpr;         ///< FP / N₀: share of the negatives with a score ≥ threshold
  std::vector<double> tpr;         ///< TP / N₁: share of the positives with a score ≥ threshold
  std::vector<double> thresholds;  ///< descending, the first one ∞
};
/// @param drop_intermediate leaves out points on a straight line between their neighbours.
RocCurve roc_curve(const Values& y_true, const Values& y_score, bool drop_intermediate = true);

/// Area under the ROC curve by the trapezoidal rule: the probability that a positive scores above a negative, ties
/// counting one half.
double roc_auc_score(const Values& y_true, const Values& y_score);

/// The points of a curve of precision over recall.
struct PrecisionRecallCurve {
  std::vector<double> precision,
      recall;                      ///< of "score ≥ threshold"; one entry more than thresholds, (1, 0), at the end
  std::vector<double> thresholds;  ///< ascending, every distinct score
};
/// As sklearn.metrics.precision_recall_curve.
PrecisionRecallCurve precision_recall_curve(const Values& y_true, const Values& y_score);

/// Σₖ (Rₖ − Rₖ₊₁)·Pₖ over the precision-recall curve.
double average_precision_score(const Values& y_true, const Values& y_score);

/// The threshold that serves a measure best, and the measure there.
struct OptimalThreshold {
  std::size_t index;  ///< into the curve
  double threshold;
  double precision, recall, f1;
};
/// The point of the curve with the largest F1 = 2PR/(P+R), the first of equals; 0/0 counts as 0. Choose it on
/// validation data: choosing it on test data is leakage.
OptimalThreshold optimal_threshold(const PrecisionRecallCurve& curve);

}  // namespace handgrad
