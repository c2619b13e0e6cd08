#pragma once

#include "handgrad/metrics/values.hpp"

namespace handgrad {

// All of these throw ShapeError for different numbers of y and ŷ, and ValueError for none or for values that are not
// finite.

/// (1/N) Σ (y − ŷ)²
double mean_squared_error(const Values& y_true, const Values& y_pred);

/// (1/N) Σ |y − ŷ|
double mean_absolute_error(const Values& y_true, const Values& y_pred);

/// R² = 1 − Σ (y − ŷ)² / Σ (y − ȳ)². For a constant y, where this is x/0: 1 if ŷ = y, else 0, as in scikit-learn. Also
/// throws ValueError for a single example, whose spread is undefined.
double r2_score(const Values& y_true, const Values& y_pred);

}  // namespace handgrad
