#pragma once

#include <string>
#include <vector>

#include "handgrad/data/table.hpp"

namespace handgrad {

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

/// Reads a table in RFC 4180's format: fields may be quoted ("…", with "" for a quote) and then hold delimiters and
/// line ends. Lines end in LF, CR LF or CR. A column is numeric when each of its cells is a number (spaces around it
/// allowed) or missing, else text; a number too small for double is 0, one too large ±inf, as in C. Empty lines are
/// skipped. Spaces belong to the value unless `trim` is asked for.
///
/// `remarks` says where a file looks as if it meant something else: values that begin or end with a space, a text
/// column whose cells are numbers with a decimal comma, spaces in a row as delimiters.
///
/// Throws IoError when the file cannot be read, and ParseError naming file, line and column for a row with too few or
/// too many fields, a quote that is never closed or is followed by more than a delimiter, two columns of one name, a
/// NUL byte, a cell of a `numeric` column that is no number, or no rows; ValueError for options that contradict the
/// file or each other.
Table read_csv(const std::string& path, const CsvOptions& options = {});

}  // namespace handgrad
