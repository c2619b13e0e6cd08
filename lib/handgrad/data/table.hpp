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

/// Named columns of equal length, each of numbers or of text, as in a CSV file.
///
/// A missing cell is NaN in a numeric column, "" in a text one. A table read from a file knows each row's line and
/// reports it in errors, even after rows were taken or dropped. An unknown column is a ValueError that lists the known
/// ones.
class Table {
 public:
  /// What a column holds.
  using Numbers = std::vector<double>;
  using Text = std::vector<std::string>;

  Table() = default;

  /// Throws ValueError for a name already taken, ShapeError for a length other than the other columns'.
  void add(const std::string& name, Numbers numbers);
  void add(const std::string& name, Text text);

  /// How large it is, and what its columns are called and hold.
  std::size_t rows() const { return rows_; }
  std::size_t columns() const { return columns_.size(); }
  std::vector<std::string> names() const;
  bool has(const std::string& name) const;
  bool is_numeric(const std::string& name) const;

  /// Throws ValueError if the column is text, naming the first cell that is not a number.
  const Numbers& numbers(const std::string& name) const;
  /// Throws ValueError if the column is numeric.
  const Text& text(const std::string& name) const;

  /// The rows listed in `rows`, in that order. Throws ShapeError for a row that does not exist.
  Table take(std::span<const std::size_t> rows) const;
  /// The rows without a missing cell.
  Table drop_missing() const;
  /// All columns except these.
  Table drop(const std::vector<std::string>& names) const;

  /// Replaces `from` by `to` in a text column and returns how often. Throws ValueError if no cell is `from`, listing
  /// the existing values: one that never occurs is nearly always misspelt or has a space around it.
  std::size_t replace(const std::string& name, const std::string& from, const std::string& to);
  /// 1 where a text column's cell is `value`, else 0. Throws ValueError if no cell is, as `replace` does.
  std::vector<long> indicator(const std::string& name, const std::string& value) const;
  /// The distinct values of a text column, ascending.
  std::vector<std::string> unique(const std::string& name) const;

  /// Numeric columns side by side, of shape (rows, names). Throws ParseError for a missing or infinite cell, naming
  /// file, line and column, and ValueError for a text column.
  template <class T = float>
  Tensor<T> tensor(const std::vector<std::string>& names) const;

  /// The origin of a cell: `adult.data, line 17, column "age"`; without a file `row 16, column "age"`.
  std::string where(std::size_t row, const std::string& name) const;

  /// Set by readers: the file, and the line on which each row began.
  void set_origin(std::string file, std::vector<std::size_t> lines);

  /// What a reader noticed but left unchanged, such as spaces around values; one sentence each.
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
/// Parses a whole cell as a number, spaces around it allowed. "nan" and "inf" are numbers; a value too small for double
/// is ±0, one too large ±inf, as in strtod. If `decimal` is not a point, a point is not accepted. Returns false if the
/// cell is not a number.
bool parse_number(std::string_view cell, double& number, char decimal = '.');
}  // namespace detail

}  // namespace handgrad
