#include "handgrad/trace/row_indices.hpp"

namespace handgrad::trace {

RowIndices::RowIndices(const Shape& input, const Shape& of_row) {
  static const std::vector<std::string> leading{"n", "m", "p"}, in_row{"i", "j", "h", "q"}, summing{"k", "l", "u", "t"};
  const std::size_t before = input.rank() - of_row.rank(), rows = of_row.rank() == 1 ? 1 : before;
  const auto bracketed = [](const std::vector<std::string>& indices) {
    std::string text;
    for (const std::string& index : indices) text += (text.empty() ? "[" : ",") + index;
    return text.empty() ? text : text + "]";
  };
  rows_.assign(leading.begin(), leading.begin() + static_cast<std::ptrdiff_t>(rows));
  sums_.assign(summing.begin(), summing.begin() + static_cast<std::ptrdiff_t>(of_row.rank()));
  const std::vector<std::string> features(in_row.begin(), in_row.begin() + static_cast<std::ptrdiff_t>(of_row.rank()));
  std::vector<std::string> all = rows_, others = rows_;
  all.insert(all.end(), features.begin(), features.end());
  others.insert(others.end(), sums_.begin(), sums_.end());
  row = bracketed(rows_);
  feature = bracketed(features);
  element = bracketed(all);
  other = bracketed(others);
}

std::string RowIndices::summed(std::string text, const std::vector<std::string>& indices) {
  for (auto index = indices.rbegin(); index != indices.rend(); ++index) text = "sum(" + *index + ": " + text + ")";
  return text;
}

}  // namespace handgrad::trace
