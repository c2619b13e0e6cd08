#include "handgrad/data/csv.hpp"

#include "fuzz/fuzz.hpp"

// Uses a table: every column as numbers or text, missing cells dropped.
static void read_and_use(const std::string& path) {
  for (const char decimal : {'.', ','}) {
    const bool trim = decimal == ',';
    handgrad::CsvOptions options{.header = trim, .missing = {"?", ""}, .trim = trim};
    if (trim) options.delimiter = ' ', options.merge_delimiters = true, options.decimal = decimal;
    const handgrad::Table table = handgrad::read_csv(path, options);
    const handgrad::Table whole = table.drop_missing();
    for (const std::string& name : table.names())
      if (table.is_numeric(name))
        table.numbers(name);
      else
        whole.unique(name);
  }
}
HANDGRAD_FUZZ_READER(read_and_use)
