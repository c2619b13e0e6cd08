#include "handgrad/data/table.hpp"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <limits>
#include <unordered_set>

#include "handgrad/base/errors.hpp"
#include "handgrad/data/text_index.hpp"

namespace handgrad {
namespace {

template <class Items>
std::string listed(const Items& items) {
  std::string text;
  std::size_t shown = 0;
  for (const auto& item : items) {
    if (shown++ == 20) return text + ", …";
    text += (text.empty() ? "\"" : ", \"") + item + "\"";
  }
  return text.empty() ? "none" : text;
}

bool is_missing(double cell) { return std::isnan(cell); }
bool is_missing(const std::string& cell) { return cell.empty(); }

}  // namespace

namespace {

/// Whether a number outside double's range is too large rather than too small, by the exponent of its first nonzero
/// digit.
bool too_large(std::string_view text) {
  const std::size_t e = text.find_first_of("eE"), point = std::min(text.find('.'), std::min(e, text.size()));
  const std::size_t digit = text.substr(0, e).find_first_of("123456789");
  long long exponent = 0;
  if (e != std::string_view::npos) {
    std::string_view digits = text.substr(e + 1);
    if (digits.front() == '+') digits.remove_prefix(1);
    const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), exponent);
    if (error != std::errc()) return digits.front() != '-';
  }
  if (digit == std::string_view::npos) return false;
  return exponent + static_cast<long long>(point) - static_cast<long long>(digit) > 0;
}

/// Up to 15 digits, which double holds exactly.
bool short_whole_number(std::string_view cell, double& number) {
  if (cell.empty() || cell.size() > 15) return false;
  std::int64_t value = 0;
  for (const char c : cell) {
    if (c < '0' || c > '9') return false;
    value = 10 * value + (c - '0');
  }
  number = static_cast<double>(value);
  return true;
}

}  // namespace

bool detail::parse_number(std::string_view cell, double& number, char decimal) {
  const auto is_space = [](char c) { return c == ' ' || c == '\t'; };
  while (!cell.empty() && is_space(cell.front())) cell.remove_prefix(1);
  while (!cell.empty() && is_space(cell.back())) cell.remove_suffix(1);
  if (short_whole_number(cell, number)) return true;
  if (cell.size() > 1 && cell.front() == '+' && cell[1] != '-') cell.remove_prefix(1);
  if (cell.empty()) return false;
  std::string with_point;
  if (decimal != '.') {
    if (cell.find('.') != std::string_view::npos) return false;
    if (const std::size_t sign = cell.find(decimal); sign != std::string_view::npos) {
      with_point = cell;
      with_point[sign] = '.';
      cell = with_point;
    }
  }
  const auto [end, error] = std::from_chars(cell.data(), cell.data() + cell.size(), number);
  if (end != cell.data() + cell.size()) return false;
  if (error == std::errc::result_out_of_range)
    number = std::copysign(too_large(cell) ? std::numeric_limits<double>::infinity() : 0.0,
                           cell.front() == '-' ? -1.0 : 1.0);
  else if (error != std::errc())
    return false;
  return true;
}

void Table::add(const std::string& name, Numbers numbers) {
  const std::size_t length = numbers.size();
  add_column({name, std::move(numbers)}, length);
}

void Table::add(const std::string& name, Text text) {
  const std::size_t length = text.size();
  add_column({name, std::move(text)}, length);
}

void Table::add_column(Column column, std::size_t length) {
  if (has(column.name)) throw ValueError("Table: there is a column \"" + column.name + "\" already");
  if (!columns_.empty() && length != rows_) {
    throw ShapeError("Table: column \"" + column.name + "\" has " + std::to_string(length) + " rows, " +
                     std::to_string(rows_) + " expected");
  }
  rows_ = length;
  index_[column.name] = columns_.size();
  columns_.push_back(std::move(column));
}

std::vector<std::string> Table::names() const {
  std::vector<std::string> names;
  for (const auto& column : columns_) names.push_back(column.name);
  return names;
}

bool Table::has(const std::string& name) const { return index_.contains(name); }

const Table::Column& Table::column(const std::string& name) const {
  if (const auto found = index_.find(name); found != index_.end()) return columns_[found->second];
  throw ValueError("Table: no column \"" + name + "\"; there are " + listed(names()));
}

bool Table::is_numeric(const std::string& name) const { return std::holds_alternative<Numbers>(column(name).cells); }

const Table::Numbers& Table::numbers(const std::string& name) const {
  const Column& found = column(name);
  if (const auto* numbers = std::get_if<Numbers>(&found.cells)) return *numbers;
  const Text& cells = std::get<Text>(found.cells);
  std::string example;
  double number;
  for (std::size_t row = 0; row < cells.size() && example.empty(); ++row) {
    if (!detail::parse_number(cells[row], number)) example = "; " + where(row, name) + " is \"" + cells[row] + "\"";
  }
  throw ValueError("Table: column \"" + name + "\" is text, numbers expected" + example);
}

const Table::Text& Table::text(const std::string& name) const {
  const Column& found = column(name);
  if (const auto* text = std::get_if<Text>(&found.cells)) return *text;
  throw ValueError("Table: column \"" + name + "\" holds numbers, text expected (CsvOptions::text reads it as text)");
}

Table Table::take(std::span<const std::size_t> rows) const {
  for (const std::size_t row : rows) {
    if (row >= rows_) throw ShapeError("Table: row " + std::to_string(row) + " of " + std::to_string(rows_));
  }
  const auto taken = [&](const auto& from) {
    std::remove_cvref_t<decltype(from)> to;
    to.reserve(rows.size());
    for (const std::size_t row : rows) to.push_back(from[row]);
    return to;
  };
  Table result;
  result.rows_ = rows.size();
  for (const auto& column : columns_) {
    std::visit([&](const auto& cells) { result.columns_.push_back({column.name, taken(cells)}); }, column.cells);
  }
  result.index_ = index_;
  result.file_ = file_;
  if (!lines_.empty()) result.lines_ = taken(lines_);
  return result;
}

Table Table::drop_missing() const {
  std::vector<bool> missing(rows_);
  for (const auto& column : columns_) {
    std::visit(
        [&](const auto& cells) {
          for (std::size_t row = 0; row < rows_; ++row) missing[row] = missing[row] || is_missing(cells[row]);
        },
        column.cells);
  }
  std::vector<std::size_t> kept;
  for (std::size_t row = 0; row < rows_; ++row) {
    if (!missing[row]) kept.push_back(row);
  }
  return take(kept);
}

Table Table::drop(const std::vector<std::string>& names) const {
  for (const auto& name : names) column(name);
  const std::unordered_set<std::string> dropped(names.begin(), names.end());
  Table result = *this;
  std::erase_if(result.columns_, [&](const Column& c) { return dropped.contains(c.name); });
  result.index_.clear();
  for (std::size_t i = 0; i < result.columns_.size(); ++i) result.index_[result.columns_[i].name] = i;
  return result;
}

std::size_t Table::replace(const std::string& name, const std::string& from, const std::string& to) {
  text(name);
  Column& found = columns_[index_.at(name)];
  std::size_t count = 0;
  for (auto& cell : std::get<Text>(found.cells)) {
    if (cell != from) continue;
    cell = to;
    ++count;
  }
  if (count == 0) no_such_value(found, from);
  return count;
}

std::vector<long> Table::indicator(const std::string& name, const std::string& value) const {
  const Text& cells = text(name);
  std::vector<long> result;
  result.reserve(cells.size());
  for (const auto& cell : cells) result.push_back(cell == value);
  if (std::find(result.begin(), result.end(), 1) == result.end()) no_such_value(column(name), value);
  return result;
}

std::vector<std::string> Table::unique(const std::string& name) const {
  const Text& cells = text(name);
  detail::TextIndex values;
  for (const auto& cell : cells)
    if (values.find(cell) == values.none) values.add(cell);
  std::vector<std::string> sorted;
  for (const auto& [value, number] : values) sorted.emplace_back(value);
  std::sort(sorted.begin(), sorted.end());
  return sorted;
}

void Table::no_such_value(const Column& column, const std::string& value) const {
  throw ValueError("Table: no cell of column \"" + column.name + "\" is \"" + value + "\"; there are " +
                   listed(unique(column.name)));
}

template <class T>
Tensor<T> Table::tensor(const std::vector<std::string>& names) const {
  auto result = Tensor<T>::empty({rows_, names.size()});
  for (std::size_t c = 0; c < names.size(); ++c) {
    const Numbers& cells = numbers(names[c]);
    for (std::size_t row = 0; row < rows_; ++row) {
      if (!std::isfinite(cells[row])) {
        throw ParseError(where(row, names[c]) + (std::isnan(cells[row]) ? " is missing" : " is infinite") +
                         "; a number expected (drop_missing() drops rows with missing cells)");
      }
      result.data()[row * names.size() + c] = static_cast<T>(cells[row]);
    }
  }
  return result;
}

std::string Table::where(std::size_t row, const std::string& name) const {
  const std::string place =
      row < lines_.size() ? file_ + ", line " + std::to_string(lines_[row]) : "row " + std::to_string(row);
  return place + ", column \"" + name + "\"";
}

void Table::set_origin(std::string file, std::vector<std::size_t> lines) {
  file_ = std::move(file);
  lines_ = std::move(lines);
}

template Tensor<float> Table::tensor(const std::vector<std::string>&) const;
template Tensor<double> Table::tensor(const std::vector<std::string>&) const;

}  // namespace handgrad
