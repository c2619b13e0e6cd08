#pragma once

#include <string>
#include <vector>

#include "handgrad/data/table.hpp"

namespace handgrad {

/// The options of read_csv, by pandas' names.
struct CsvOptions {
  char delimiter = ',';
  bool merge_delimiters = false;            ///< a run of delimiters is one, and none at a line's ends: aligned columns
  char decimal = '.';                       ///< between a number's whole part and its fraction; ',' in much of Europe
  bool header = true;                       ///< the first row names the columns
  std::vector<std::string> names = {};      ///< the columns' names; without header and names they are "0", "1", …
  std::vector<std::string> missing = {""};  ///< cells that mean "no value"
  bool trim = false;                        ///< remove spaces and tabs around cells that are not quoted
  std::vector<std::string> text = {};       ///< columns to read as text even if every cell is a number
  std::vector<std::string> numeric = {};    ///< columns whose every cell must be a number or missing
};

/// Reads an RFC 4180 table: fields may be quoted ("…", with "" for a quote) and then contain delimiters and line ends.
/// Lines end in LF, CR LF or CR. A column is numeric if every cell is a number (spaces around it allowed) or missing,
/// otherwise text; a number too small for double is 0, one too large ±inf, as in C. Empty lines are skipped. Spaces
/// belong to the value unless `trim` is set.
///
/// `remarks` notes where a file may mean something else: values with a space at either end, a text column of numbers
/// with a decimal comma, runs of spaces as delimiters.
///
/// Throws IoError if the file cannot be read; ParseError naming file, line and column for a row with too few or too
/// many fields, a quote never closed or followed by anything but a delimiter, a repeated column name, a NUL byte, a
/// cell of a `numeric` column that is not a number, or no rows; ValueError for options that contradict the file or each
/// other.
Table read_csv(const std::string& path, const CsvOptions& options = {});

}  // namespace handgrad
