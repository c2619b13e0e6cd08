#include "handgrad/data/csv.hpp"

#include <algorithm>
#include <limits>
#include <set>

#include "handgrad/base/errors.hpp"
#include "handgrad/io/files.hpp"

namespace handgrad {
namespace {

struct Record {
  std::vector<std::string> fields;
  std::size_t line = 0;  // on which it begins
};

std::string at(const std::string& path, std::size_t line) { return path + ", line " + std::to_string(line); }

bool contains(const std::vector<std::string>& list, const std::string& item) {
  return std::find(list.begin(), list.end(), item) != list.end();
}

/// Cuts a file's text into records, one after the other.
class Records {
 public:
  Records(const std::string& path, std::string_view text, const CsvOptions& options)
      : path_(path), text_(text), options_(options) {
    if (text_.substr(0, 3) == "\xEF\xBB\xBF") text_.remove_prefix(3);  // UTF-8's mark
  }

  /// False at the end of the file.
  bool next(Record& record) {
    while (at_ < text_.size() && skip_line_end()) {
    }
    if (at_ == text_.size()) return false;
    record = {{}, line_};
    do record.fields.push_back(field(record.fields.size() + 1));
    while (skip(options_.delimiter));
    skip_line_end();
    return true;
  }

 private:
  bool skip(char c) {
    if (at_ == text_.size() || text_[at_] != c) return false;
    ++at_;
    return true;
  }
  bool skip_line_end() {
    const bool found = text_.substr(at_, 2) == "\r\n" ? (at_ += 2, true) : skip('\n');
    line_ += found;
    return found;
  }
  bool at_line_end() const { return at_ == text_.size() || text_[at_] == '\n' || text_.substr(at_, 2) == "\r\n"; }
  bool skip_blank() { return options_.delimiter == '\t' ? skip(' ') : skip(' ') || skip('\t'); }

  std::string field(std::size_t column) {
    const std::size_t begin = at_;
    if (options_.trim) {
      while (skip_blank()) {
      }
    }
    if (skip('"')) {
      std::string value = quoted(column);
      if (options_.trim) {
        while (skip_blank()) {
        }
      }
      if (!at_line_end() && text_[at_] != options_.delimiter) {
        fail(line_, column, "text after the closing quote; a quote inside a quoted field is written twice");
      }
      return value;
    }
    while (!at_line_end() && text_[at_] != options_.delimiter) {
      if (text_[at_] == '\0') fail(line_, column, "a NUL byte: this is not a text file");
      ++at_;
    }
    std::string_view value = text_.substr(begin, at_ - begin);
    if (options_.trim) {
      constexpr const char* blanks = " \t";
      value.remove_prefix(std::min(value.find_first_not_of(blanks), value.size()));
      value = value.substr(0, value.find_last_not_of(blanks) + 1);
    }
    return std::string(value);
  }

  std::string quoted(std::size_t column) {
    const std::size_t opened = line_;
    std::string value;
    for (;;) {
      if (at_ == text_.size()) fail(opened, column, "a quoted field that never ends");
      const char c = text_[at_++];
      if (c == '"' && !skip('"')) return value;
      if (c == '\0') fail(line_, column, "a NUL byte: this is not a text file");
      line_ += c == '\n';
      value += c;
    }
  }

  [[noreturn]] void fail(std::size_t line, std::size_t column, const char* what) const {
    throw ParseError(at(path_, line) + ", column " + std::to_string(column) + ": " + what);
  }

  const std::string& path_;
  std::string_view text_;
  const CsvOptions& options_;
  std::size_t at_ = 0, line_ = 1;
};

void check_options(const std::string& path, const CsvOptions& options, const std::vector<std::string>& names) {
  if (options.delimiter == '"' || options.delimiter == '\n' || options.delimiter == '\r') {
    throw ValueError("read_csv: a quote or a line end cannot be the delimiter");
  }
  for (const auto* chosen : {&options.text, &options.numeric}) {
    for (const auto& name : *chosen) {
      if (!contains(names, name)) throw ValueError("read_csv: " + path + " has no column \"" + name + "\"");
    }
  }
}

/// The cells as numbers; false when one is none and the column need not be numeric.
bool to_numbers(const std::vector<std::string>& cells, const std::string& name, bool must, const CsvOptions& options,
                const std::string& path, const std::vector<std::size_t>& lines, std::vector<double>& numbers) {
  numbers.reserve(cells.size());
  for (std::size_t row = 0; row < cells.size(); ++row) {
    double number = std::numeric_limits<double>::quiet_NaN();
    if (!contains(options.missing, cells[row]) && !detail::parse_number(cells[row], number)) {
      if (!must) return false;
      throw ParseError(at(path, lines[row]) + ", column \"" + name + "\": a number expected, got \"" + cells[row] +
                       "\"");
    }
    numbers.push_back(number);
  }
  return true;
}

/// A sentence on the first value with a space around it, if there is one.
void remark_spaces(Table& table, const std::string& name) {
  const auto& cells = table.text(name);
  for (std::size_t row = 0; row < cells.size(); ++row) {
    if (cells[row].empty() || (cells[row].front() != ' ' && cells[row].back() != ' ')) continue;
    table.remarks.push_back(table.where(row, name) + ": the value \"" + cells[row] +
                            "\" begins or ends with a space; it was kept (trim = true removes it)");
    return;
  }
}

}  // namespace

Table read_csv(const std::string& path, const CsvOptions& options) {
  const std::string content = read_file(path);
  Records records(path, content, options);
  Record record;
  bool more = records.next(record);

  std::vector<std::string> names = options.names;
  const std::size_t header_line = record.line;
  if (more && options.header) {
    if (!names.empty() && names.size() != record.fields.size()) {
      throw ValueError("read_csv: " + std::to_string(names.size()) + " names for the " +
                       std::to_string(record.fields.size()) + " columns of " + path);
    }
    if (names.empty()) names = record.fields;
    more = records.next(record);
  }
  if (!more) throw ParseError(path + ": no rows");
  for (std::size_t i = 0; !options.header && options.names.empty() && i < record.fields.size(); ++i) {
    names.push_back(std::to_string(i));
  }
  for (std::size_t i = 0; i < names.size(); ++i) {
    if (std::count(names.begin(), names.end(), names[i]) > 1) {
      throw ParseError(at(path, header_line) + ", column " + std::to_string(i + 1) + ": the name \"" + names[i] +
                       "\" occurs twice");
    }
  }
  check_options(path, options, names);

  std::vector<std::vector<std::string>> cells(names.size());
  std::vector<std::size_t> lines;
  for (; more; more = records.next(record)) {
    if (record.fields.size() != names.size()) {
      throw ParseError(at(path, record.line) + ", column " + std::to_string(record.fields.size()) + ": the row has " +
                       std::to_string(record.fields.size()) + " fields, " + std::to_string(names.size()) + " expected");
    }
    lines.push_back(record.line);
    for (std::size_t i = 0; i < names.size(); ++i) cells[i].push_back(std::move(record.fields[i]));
  }

  Table table;
  table.set_origin(path, lines);
  for (std::size_t i = 0; i < names.size(); ++i) {
    std::vector<double> numbers;
    const bool must = contains(options.numeric, names[i]);
    const bool may = must || !contains(options.text, names[i]);
    if (may && to_numbers(cells[i], names[i], must, options, path, lines, numbers)) {
      table.add(names[i], std::move(numbers));
    } else {
      for (auto& cell : cells[i]) {
        if (contains(options.missing, cell)) cell.clear();
      }
      table.add(names[i], std::move(cells[i]));
      remark_spaces(table, names[i]);
    }
  }
  return table;
}

}  // namespace handgrad
