#pragma once
#include <string>
#include <vector>

#include "handgrad/base/shape.hpp"

namespace handgrad::trace {

/// Index names for `input`, whose last dimensions, of shape `row`, form a row: n counts the rows, i, j … index a row's
/// elements, and k, l … do so within a sum. Rows of one dimension are numbered through.
struct RowIndices {
  RowIndices(const Shape& input, const Shape& row);
  std::string row, feature, element, other;  // [n], [i], [n,i], [n,k]
  /// The sum of `text` over the elements of a row (indexed as `other`), and over the rows (as `row`).
  std::string sum(const std::string& text) const { return summed(text, sums_); }
  std::string over_rows(const std::string& text) const { return summed(text, rows_); }

 private:
  static std::string summed(std::string text, const std::vector<std::string>& indices);
  std::vector<std::string> rows_, sums_;
};

}  // namespace handgrad::trace
