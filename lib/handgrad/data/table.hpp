#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <unordered_map>
#include <variant>
#include <vector>

#include "handgrad/base/tensor.hpp"

namespace handgrad {

/// Named columns of equal length, each of numbers or of text: what a CSV file holds before it becomes a tensor.
///
/// A missing cell is NaN among numbers and "" among text. A table that was read from a file knows each row's line, and
/// says it in errors, also after rows were taken or dropped. A column that is not there is a ValueError naming those
/// that are.
class Table {
 public:
  using Numbers = std::vector<double>;
  using Text = std::vector<std::string>;

  Table() = default;

  /// Throws ValueError for a name that is taken, ShapeError for another length than the other columns'.
  void add(const std::string& name, Numbers numbers);
  void add(const std::string& name, Text text);

  std::size_t rows() const { return rows_; }
  std::size_t columns() const { return columns_.size(); }
  std::vector<std::string> names() const;
  bool has(const std::string& name) const;
  bool is_numeric(const std::string& name) const;

  /// Throws ValueError when the column is text: the message names the first cell that is no number.
  const Numbers& numbers(const std::string& name) const;
  /// Throws ValueError when the column is numeric.
  const Text& text(const std::string& name) const;

  /// The rows that `rows` names, in that order. Throws ShapeError for one that is not there.
  Table take(std::span<const std::size_t> rows) const;
  /// The rows without a missing cell.
  Table drop_missing() const;
  /// All columns but these.
  Table drop(const std::vector<std::string>& names) const;

  /// Puts `to` for `from` in a text column, and returns how often. Throws ValueError when no cell is `from`, and lists
  /// what there is: a value that never occurs is nearly always misspelt, or has a space around it.
  std::size_t replace(const std::string& name, const std::string& from, const std::string& to);
  /// 1 where a text column's cell is `value`, else 0. Throws ValueError when no cell is, as `replace` does.
  std::vector<long> indicator(const std::string& name, const std::string& value) const;
  /// The distinct values of a text column, ascending.
  std::vector<std::string> unique(const std::string& name) const;

  /// Numeric columns side by side: shape (rows, names). Throws ParseError for a cell that is missing or infinite,
  /// naming file, line and column, and ValueError for a text column.
  template <class T = float>
  Tensor<T> tensor(const std::vector<std::string>& names) const;

  /// Where a cell came from: `adult.data, line 17, column "age"`; without a file `row 16, column "age"`.
  std::string where(std::size_t row, const std::string& name) const;

  /// Set by readers: the file, and the line in it on which each row began.
  void set_origin(std::string file, std::vector<std::size_t> lines);

  /// What a reader noticed and left as it was, such as spaces around values; a sentence each.
  std::vector<std::string> remarks;

 private:
  struct Column {
    std::string name;
    std::variant<Numbers, Text> cells;
  };
  const Column& column(const std::string& name) const;
  void add_column(Column column, std::size_t length);
  [[noreturn]] void no_such_value(const Column& column, const std::string& value) const;

  std::vector<Column> columns_;
  std::unordered_map<std::string, std::size_t> index_;  // a column's place by its name
  std::size_t rows_ = 0;
  std::string file_;
  std::vector<std::size_t> lines_;
};

namespace detail {
/// A whole cell as a number, spaces around it allowed; "nan" and "inf" are numbers; what is too small for double is
/// ±0, what is too large ±inf, as strtod has it. With another decimal sign than a point, a point makes no number.
/// Returns false when it is none.
bool parse_number(std::string_view cell, double& number, char decimal = '.');
}  // namespace detail

}  // namespace handgrad
