#include "handgrad/metrics/ranking.hpp"

#include <algorithm>
#include <limits>
#include <numeric>
#include <string>

namespace handgrad {
namespace {

/// True and false positives of "score ≥ threshold" for each distinct score, thresholds descending.
struct Steps {
  std::vector<double> tp, fp, thresholds;
};

Steps steps_of(const char* metric, const Values& y_true, const Values& y_score) {
  check_metric_arguments(metric, y_true, y_score);
  const auto labels = y_true.labels(metric, "y_true");
  for (std::size_t i = 0; i < labels.size(); ++i) {
    if (labels[i] != 0 && labels[i] != 1) {
      throw ValueError(std::string(metric) + ": labels 0 and 1 expected, y_true[" + std::to_string(i) + "] is " +
                       std::to_string(labels[i]));
    }
  }
  const auto positives = std::count(labels.begin(), labels.end(), 1);
  if (positives == 0 || static_cast<std::size_t>(positives) == labels.size()) {
    throw ValueError(std::string(metric) + ": not defined where all " + std::to_string(labels.size()) + " labels are " +
                     (positives == 0 ? "0" : "1") + "; examples of both classes expected");
  }

  std::vector<std::size_t> order(labels.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  std::sort(order.begin(), order.end(), [&](std::size_t a, std::size_t b) { return y_score[a] > y_score[b]; });
  Steps steps;
  double tp = 0, fp = 0;
  for (std::size_t i = 0; i < order.size(); ++i) {
    (labels[order[i]] == 1 ? tp : fp) += 1;
    const bool last_of_equals = i + 1 == order.size() || y_score[order[i + 1]] != y_score[order[i]];
    if (!last_of_equals) continue;
    steps.tp.push_back(tp);
    steps.fp.push_back(fp);
    steps.thresholds.push_back(y_score[order[i]]);
  }
  return steps;
}

}  // namespace

RocCurve roc_curve(const Values& y_true, const Values& y_score, bool drop_intermediate) {
  const Steps steps = steps_of("roc_curve", y_true, y_score);
  const std::size_t last = steps.tp.size() - 1;
  // A point is a corner if the steps into and out of it differ.
  const auto straight = [](const std::vector<double>& count, std::size_t i) {
    return count[i + 1] - count[i] == count[i] - count[i - 1];
  };
  RocCurve curve{{0}, {0}, {std::numeric_limits<double>::infinity()}};
  for (std::size_t i = 0; i <= last; ++i) {
    if (drop_intermediate && i > 0 && i < last && straight(steps.tp, i) && straight(steps.fp, i)) continue;
    curve.tpr.push_back(steps.tp[i] / steps.tp[last]);
    curve.fpr.push_back(steps.fp[i] / steps.fp[last]);
    curve.thresholds.push_back(steps.thresholds[i]);
  }
  return curve;
}

double roc_auc_score(const Values& y_true, const Values& y_score) {
  const Steps steps = steps_of("roc_auc_score", y_true, y_score);
  double area = 0, tp = 0, fp = 0;
  for (std::size_t i = 0; i < steps.tp.size(); ++i) {
    area += (steps.fp[i] - fp) * (steps.tp[i] + tp) / 2;
    tp = steps.tp[i];
    fp = steps.fp[i];
  }
  return area / (tp * fp);
}

PrecisionRecallCurve precision_recall_curve(const Values& y_true, const Values& y_score) {
  const Steps steps = steps_of("precision_recall_curve", y_true, y_score);
  PrecisionRecallCurve curve;
  for (std::size_t i = steps.tp.size(); i-- > 0;) {
    curve.precision.push_back(steps.tp[i] / (steps.tp[i] + steps.fp[i]));
    curve.recall.push_back(steps.tp[i] / steps.tp.back());
    curve.thresholds.push_back(steps.thresholds[i]);
  }
  curve.precision.push_back(1);
  curve.recall.push_back(0);
  return curve;
}

double average_precision_score(const Values& y_true, const Values& y_score) {
  const Steps steps = steps_of("average_precision_score", y_true, y_score);
  double sum = 0, tp = 0;
  for (std::size_t i = 0; i < steps.tp.size(); ++i) {
    sum += (steps.tp[i] - tp) / steps.tp.back() * steps.tp[i] / (steps.tp[i] + steps.fp[i]);
    tp = steps.tp[i];
  }
  return sum;
}

OptimalThreshold optimal_threshold(const PrecisionRecallCurve& curve) {
  const std::size_t points = curve.thresholds.size();
  if (points == 0 || curve.precision.size() != points + 1 || curve.recall.size() != points + 1) {
    throw ValueError("optimal_threshold: a curve of precision_recall_curve expected, got " + std::to_string(points) +
                     " thresholds, " + std::to_string(curve.precision.size()) + " precisions and " +
                     std::to_string(curve.recall.size()) + " recalls");
  }
  OptimalThreshold best{0, 0, 0, 0, -1};
  for (std::size_t i = 0; i < points; ++i) {
    const double p = curve.precision[i], r = curve.recall[i];
    const double f1 = p + r == 0 ? 0 : 2 * p * r / (p + r);
    if (f1 > best.f1) best = {i, curve.thresholds[i], p, r, f1};
  }
  return best;
}

}  // namespace handgrad
