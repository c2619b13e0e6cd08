#pragma once
#include <string>
#include <vector>

#include "handgrad/base/shape.hpp"

namespace handgrad::trace {

/// How the elements of `input` are indexed whose last dimensions, of shape `row`, are a row: n counts the rows, i, j …
/// a row's elements, and k, l … the same in a sum over them. Rows of one dimension are numbered through.
struct RowIndices {
  RowIndices(const Shape& input, const Shape& row);
  std::string row, feature, element, other;  // [n], [i], [n,i], [n,k]
  /// The sum over the elements of a row, which `text` has as `other`, and over the rows, as `row`.
  std::string sum(const std::string& text) const { return summed(text, sums_); }
  std::string over_rows(const std::string& text) const { return summed(text, rows_); }

 private:
  static std::string summed(std::string text, const std::vector<std::string>& indices);
  std::vector<std::string> rows_, sums_;
};

}  // namespace handgrad::trace
