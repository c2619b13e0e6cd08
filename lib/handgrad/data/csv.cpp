#include "handgrad/data/csv.hpp"

#include <algorithm>
#include <array>
#include <deque>
#include <limits>
#include <string_view>
#include <unordered_set>
#include <variant>

#include "handgrad/base/errors.hpp"
#include "handgrad/base/threads.hpp"
#include "handgrad/io/files.hpp"

namespace handgrad {
namespace {

/// Fields are views: of the file's text or, where quotes had to go, of a string that Records keeps.
struct Record {
  std::vector<std::string_view> fields;
  std::size_t line = 0;  // its first line
};

std::string at(const std::string& path, std::size_t line) { return path + ", line " + std::to_string(line); }

/// The cells that stand for a missing value. Nearly all others differ from them in their first character already.
class Missing {
 public:
  explicit Missing(const std::vector<std::string>& cells) : cells_(cells) {
    for (const auto& cell : cells) begins_[first(cell)] = true;
  }
  bool contains(std::string_view cell) const {
    return begins_[first(cell)] && std::find(cells_.begin(), cells_.end(), cell) != cells_.end();
  }

 private:
  static std::size_t first(std::string_view cell) { return cell.empty() ? 256 : static_cast<unsigned char>(cell[0]); }
  const std::vector<std::string>& cells_;
  std::array<bool, 257> begins_{};
};

/// Some lines of a file.
struct Lines {
  std::string_view text;
  std::size_t first = 1;            // the number of the first
  std::size_t spaces_in_a_row = 0;  // of Records, for the lines before
};

/// Splits lines into records.
class Records {
 public:
  Records(const std::string& path, Lines lines, const CsvOptions& options)
      : path_(path), text_(lines.text), options_(options), line_(lines.first), spaces_in_a_row_(lines.spaces_in_a_row) {
    for (const char c : {'\n', '\r', '\0', options.delimiter}) ends_field_[static_cast<unsigned char>(c)] = true;
  }

  /// False at the end of the file.
  bool next(Record& record) {
    do {
      if (options_.merge_delimiters) skip_delimiters();
    } while (at_ < text_.size() && skip_line_end());
    if (at_ == text_.size()) return false;
    record.fields.clear();
    record.line = line_;
    do record.fields.push_back(field(record.fields.size() + 1));
    while (skip_to_next_field());
    skip_line_end();
    return true;
  }

  /// About how many more there are, if they are as long as those before; no more than cost little to expect.
  std::size_t as_many_more() const {
    return std::min<std::size_t>(text_.size() / std::max<std::size_t>(at_, 1), 1 << 16);
  }
  /// The lines that come next.
  Lines rest() const { return {text_.substr(at_), line_, spaces_in_a_row_}; }
  /// The line where one space first followed another and both were taken as delimiters; 0 if none.
  std::size_t spaces_in_a_row() const { return spaces_in_a_row_; }

 private:
  bool skip(char c) {
    if (at_ == text_.size() || text_[at_] != c) return false;
    ++at_;
    return true;
  }
  bool skip_line_end() {
    const bool found = skip('\r') ? (skip('\n'), true) : skip('\n');
    line_ += found;
    return found;
  }
  bool at_line_end() const { return at_ == text_.size() || text_[at_] == '\n' || text_[at_] == '\r'; }
  bool at_delimiter() const { return at_ < text_.size() && text_[at_] == options_.delimiter; }
  bool skip_blank() { return !at_delimiter() && (skip(' ') || skip('\t')); }
  void skip_delimiters() {
    while (skip(options_.delimiter)) {
    }
  }
  bool skip_to_next_field() {
    if (!skip(options_.delimiter)) return false;
    if (options_.merge_delimiters) {
      skip_delimiters();
      return !at_line_end();  // a line end starts no field
    }
    if (options_.delimiter == ' ' && at_delimiter() && spaces_in_a_row_ == 0) spaces_in_a_row_ = line_;
    return true;
  }

  std::string_view field(std::size_t column) {
    const std::size_t begin = at_;
    if (options_.trim) {
      while (skip_blank()) {
      }
    }
    if (skip('"')) {
      const std::string_view value = unquoted_.emplace_back(quoted(column));
      if (options_.trim) {
        while (skip_blank()) {
        }
      }
      if (!at_line_end() && !at_delimiter()) {
        fail(line_, column, "text after the closing quote; a quote inside a quoted field is written twice");
      }
      return value;
    }
    const char* end = text_.data() + at_;
    while (end < text_.data() + text_.size() && !ends_field_[static_cast<unsigned char>(*end)]) ++end;
    at_ = static_cast<std::size_t>(end - text_.data());
    if (!at_line_end() && !at_delimiter()) fail(line_, column, "a NUL byte: this is not a text file");
    std::string_view value = text_.substr(begin, at_ - begin);
    if (options_.trim) {
      constexpr const char* blanks = " \t";
      value.remove_prefix(std::min(value.find_first_not_of(blanks), value.size()));
      value = value.substr(0, value.find_last_not_of(blanks) + 1);
    }
    return value;
  }

  std::string quoted(std::size_t column) {
    const std::size_t opened = line_;
    std::string value;
    for (;;) {
      if (at_ == text_.size()) fail(opened, column, "a quoted field that never ends");
      const char c = text_[at_++];
      if (c == '"' && !skip('"')) return value;
      if (c == '\0') fail(line_, column, "a NUL byte: this is not a text file");
      line_ += c == '\n' || (c == '\r' && text_.substr(at_, 1) != "\n");
      value += c;
    }
  }

  [[noreturn]] void fail(std::size_t line, std::size_t column, const char* what) const {
    throw ParseError(at(path_, line) + ", column " + std::to_string(column) + ": " + what);
  }

  const std::string& path_;
  std::string_view text_;
  const CsvOptions& options_;
  std::array<bool, 256> ends_field_{};
  std::deque<std::string> unquoted_;
  std::size_t at_ = 0, line_, spaces_in_a_row_;
};

std::size_t line_ends(std::string_view text) {
  std::size_t count = 0;
  for (std::size_t i = 0; i < text.size(); ++i)
    count += text[i] == '\n' || (text[i] == '\r' && text.substr(i + 1, 1) != "\n");
  return count;
}

/// The lines in as many pieces as threads are worth it. They stay together where a record may be of several lines, or
/// where what has come before may have to be told in an error.
std::vector<Lines> pieces_of(Lines all, char delimiter) {
  constexpr std::size_t worth_a_thread = std::size_t{1} << 16;
  const std::size_t n =
      std::min<std::size_t>(static_cast<std::size_t>(num_threads()), all.text.size() / worth_a_thread);
  if (n < 2 || delimiter == ' ' || all.text.find('"') != all.text.npos) return {all};
  std::vector<Lines> pieces;
  std::size_t begin = 0;
  for (std::size_t i = 1; i <= n; ++i) {
    const std::size_t cut = all.text.find('\n', all.text.size() * i / n - 1);
    const std::size_t end = i == n || cut == all.text.npos ? all.text.size() : std::max(cut + 1, begin);
    pieces.push_back({all.text.substr(begin, end - begin)});
    begin = end;
  }
  std::vector<std::size_t> counts(n);
  detail::in_parallel(n - 1, [&](std::size_t i) { counts[i] = line_ends(pieces[i].text); });
  pieces[0].first = all.first;
  for (std::size_t i = 1; i < n; ++i) pieces[i].first = pieces[i - 1].first + counts[i - 1];
  return pieces;
}

using Names = std::unordered_set<std::string>;

void check_options(const CsvOptions& options) {
  for (const char c : {options.delimiter, options.decimal})
    if (c == '"' || c == '\n' || c == '\r')
      throw ValueError("read_csv: a quote or a line end cannot be the delimiter or the decimal sign");
  if (options.decimal == options.delimiter)
    throw ValueError(std::string("read_csv: '") + options.decimal +
                     "' cannot be the delimiter and the decimal sign at once");
}

void check_columns(const std::string& path, const CsvOptions& options, const std::vector<std::string>& names) {
  const Names known(names.begin(), names.end());
  for (const auto* chosen : {&options.text, &options.numeric}) {
    for (const auto& name : *chosen) {
      if (!known.contains(name)) throw ValueError("read_csv: " + path + " has no column \"" + name + "\"");
    }
  }
}

/// What to add to an error that aligned columns may explain.
std::string hint(const Records& records) {
  return records.spaces_in_a_row() == 0 ? ""
                                        : "; spaces in a row delimit empty cells (merge_delimiters = true takes a run "
                                          "of them as one delimiter)";
}

/// Rows that follow each other in a file.
class Rows {
 public:
  Rows(const std::string& path, Lines piece, const CsvOptions& options) : records_(path, piece, options) {}

  void read(const std::string& path, std::size_t columns) {
    cells.resize(columns);
    Record record;
    while (records_.next(record)) {
      if (record.fields.size() != columns) {
        throw ParseError(at(path, record.line) + ", column " + std::to_string(record.fields.size()) + ": the row has " +
                         std::to_string(record.fields.size()) + " fields, " + std::to_string(columns) + " expected" +
                         hint(records_));
      }
      if (lines.empty()) reserve(records_.as_many_more());
      lines.push_back(record.line);
      for (std::size_t i = 0; i < columns; ++i) cells[i].push_back(record.fields[i]);
    }
  }
  std::size_t spaces_in_a_row() const { return records_.spaces_in_a_row(); }

  std::vector<std::vector<std::string_view>> cells;  // of each column
  std::vector<std::size_t> lines;

 private:
  void reserve(std::size_t rows) {
    lines.reserve(rows);
    for (auto& column : cells) column.reserve(rows);
  }

  Records records_;
};

/// Converts column i of all pieces to numbers; false if a cell is not a number and the column need not be numeric.
bool to_numbers(const std::deque<Rows>& pieces, std::size_t i, const std::string& name, bool must,
                const Missing& missing, const CsvOptions& options, const std::string& path,
                std::vector<double>& numbers) {
  for (const Rows& rows : pieces) {
    const std::vector<std::string_view>& cells = rows.cells[i];
    for (std::size_t row = 0; row < cells.size(); ++row) {
      double number = std::numeric_limits<double>::quiet_NaN();
      if (!missing.contains(cells[row]) && !detail::parse_number(cells[row], number, options.decimal)) {
        if (!must) return false;
        throw ParseError(at(path, rows.lines[row]) + ", column \"" + name + "\": a number expected, got \"" +
                         std::string(cells[row]) + "\"");
      }
      numbers.push_back(number);
    }
  }
  return true;
}

/// Remarks on the first value with a space around it, if any.
void remark_spaces(Table& table, const std::string& name) {
  const auto& cells = table.text(name);
  for (std::size_t row = 0; row < cells.size(); ++row) {
    if (cells[row].empty() || (cells[row].front() != ' ' && cells[row].back() != ' ')) continue;
    table.remarks.push_back(table.where(row, name) + ": the value \"" + cells[row] +
                            "\" begins or ends with a space; it was kept (trim = true removes it)");
    return;
  }
}

/// Remarks on a column that would be numeric with a comma as the decimal sign.
void remark_decimal_comma(Table& table, const std::string& name, const CsvOptions& options) {
  if (options.decimal == ',' || options.delimiter == ',') return;
  const auto& cells = table.text(name);
  std::size_t example = cells.size();
  for (std::size_t row = 0; row < cells.size(); ++row) {
    double number;
    if (cells[row].empty()) continue;
    if (!detail::parse_number(cells[row], number, ',')) return;
    if (cells[row].find(',') != std::string::npos && example == cells.size()) example = row;
  }
  if (example < cells.size())
    table.remarks.push_back(table.where(example, name) + ": the value \"" + cells[example] +
                            "\" looks like a number with a decimal comma; the column was read as text "
                            "(decimal = ',' reads such numbers)");
}

}  // namespace

Table read_csv(const std::string& path, const CsvOptions& options) {
  check_options(options);
  const std::string content = read_file(path);
  Lines body{content};
  if (body.text.substr(0, 3) == "\xEF\xBB\xBF") body.text.remove_prefix(3);  // UTF-8 byte order mark
  Records head(path, body, options);
  Record record;
  bool more = head.next(record);

  std::vector<std::string> names = options.names;
  const std::size_t header_line = record.line;
  if (more && options.header) {
    if (!names.empty() && names.size() != record.fields.size()) {
      throw ValueError("read_csv: " + std::to_string(names.size()) + " names for the " +
                       std::to_string(record.fields.size()) + " columns of " + path);
    }
    if (names.empty()) names.assign(record.fields.begin(), record.fields.end());
    body = head.rest();
    more = head.next(record);
  }
  if (!more) throw ParseError(path + ": no rows");
  for (std::size_t i = 0; !options.header && options.names.empty() && i < record.fields.size(); ++i) {
    names.push_back(std::to_string(i));
  }
  Names seen;
  for (std::size_t i = 0; i < names.size(); ++i) {
    if (!seen.insert(names[i]).second) {
      throw ParseError(at(path, header_line) + ", column " + std::to_string(i + 1) + ": the name \"" + names[i] +
                       "\" occurs twice" + hint(head));
    }
  }
  check_columns(path, options, names);

  std::deque<Rows> pieces;
  for (const Lines& lines : pieces_of(body, options.delimiter)) pieces.emplace_back(path, lines, options);
  detail::in_parallel(pieces.size(), [&](std::size_t i) { pieces[i].read(path, names.size()); });
  std::vector<std::size_t> lines;
  for (const Rows& rows : pieces) lines.insert(lines.end(), rows.lines.begin(), rows.lines.end());

  Table table;
  table.set_origin(path, lines);
  if (const std::size_t line = pieces[0].spaces_in_a_row()) {
    table.remarks.push_back(at(path, line) +
                            ": spaces in a row; an empty cell was read between each two "
                            "(merge_delimiters = true takes a run of them as one delimiter)");
  }
  const Missing missing(options.missing);
  const Names numeric(options.numeric.begin(), options.numeric.end()), text(options.text.begin(), options.text.end());
  const auto must = [&](std::size_t i) { return numeric.contains(names[i]); };
  const auto may = [&](std::size_t i) { return must(i) || !text.contains(names[i]); };
  std::vector<std::variant<Table::Numbers, Table::Text>> columns(names.size());
  detail::in_parallel(names.size(), [&](std::size_t i) {
    Table::Numbers numbers;
    if (may(i)) numbers.reserve(lines.size());
    if (may(i) && to_numbers(pieces, i, names[i], must(i), missing, options, path, numbers)) {
      columns[i] = std::move(numbers);
      return;
    }
    Table::Text texts;
    texts.reserve(lines.size());
    for (const Rows& rows : pieces)
      for (const std::string_view cell : rows.cells[i]) texts.emplace_back(missing.contains(cell) ? "" : cell);
    columns[i] = std::move(texts);
  });
  for (std::size_t i = 0; i < names.size(); ++i) {
    std::visit([&](auto& column) { table.add(names[i], std::move(column)); }, columns[i]);
    if (table.is_numeric(names[i])) continue;
    remark_spaces(table, names[i]);
    if (may(i)) remark_decimal_comma(table, names[i], options);
  }
  return table;
}

}  // namespace handgrad
