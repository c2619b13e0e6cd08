#pragma once

#include "handgrad/metrics/values.hpp"

namespace handgrad {

// t are the targets, y_true; p the predictions, y_pred. All of these throw ShapeError for different numbers of them,
// and ValueError for none or for values that are not finite.

/// (1/N) Σ (t − p)²
double mean_squared_error(const Values& y_true, const Values& y_pred);

/// (1/N) Σ |t − p|
double mean_absolute_error(const Values& y_true, const Values& y_pred);

/// R² = 1 − Σ (t − p)² / Σ (t − t̄)². For constant targets, where this is x/0: 1 if p = t, else 0, as in scikit-learn.
/// Also throws ValueError for a single example, whose spread is undefined.
double r2_score(const Values& y_true, const Values& y_pred);

}  // namespace handgrad
