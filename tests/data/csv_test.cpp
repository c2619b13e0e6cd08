// The CSV reader and the table it fills.
#include "handgrad/data/csv.hpp"

#include <cmath>
#include <ctime>
#include <limits>

#include "handgrad/base/errors.hpp"
#include "handgrad/base/threads.hpp"
#include "support/check.hpp"
#include "support/files.hpp"

using namespace handgrad;
using handgrad::test::check_close;
using handgrad::test::check_throws;
using handgrad::test::TemporaryFolder;

namespace {

const TemporaryFolder& folder() {
  static const TemporaryFolder only;
  return only;
}

Table read(const std::string& content, const CsvOptions& options = {}) {
  return read_csv(folder().file("t.csv", content), options);
}

void check_text(const Table& table, const std::string& name, const Table::Text& expected) {
  BOOST_TEST(table.text(name) == expected, boost::test_tools::per_element());
}

}  // namespace

BOOST_AUTO_TEST_CASE(columns_are_numbers_or_text) {
  const Table table = read("age,name,score\n39,Ada,-1.5e3\n 50 ,Bo,+7\n\n38,7,0\n");
  BOOST_TEST(table.rows() == 3u);
  check_close(table.numbers("age"), std::vector<double>{39, 50, 38}, 0, "age");
  check_close(table.numbers("score"), std::vector<double>{-1500, 7, 0}, 0, "score");
  check_text(table, "name", {"Ada", "Bo", "7"});
  BOOST_TEST((table.tensor<double>({"score", "age"}) == Tensor<double>{{-1500, 39}, {7, 50}, {0, 38}}));
}

BOOST_AUTO_TEST_CASE(quoted_fields_hold_anything) {
  const Table table = read("\xEF\xBB\xBFid,what\r\n1,\"a, \"\"b\"\"\r\nand c\"\r\n2,\"\"\r\n3,x\"y\r\n");
  check_close(table.numbers("id"), std::vector<double>{1, 2, 3}, 0, "id");
  check_text(table, "what", {"a, \"b\"\r\nand c", "", "x\"y"});
  BOOST_TEST(table.where(1, "what") == folder() / "t.csv" + ", line 4, column \"what\"");
}

BOOST_AUTO_TEST_CASE(spaces_stay_unless_trimming_is_asked_for) {
  const std::string content = "39, State-gov , \"a b\"\n";
  const Table kept = read("39, State-gov , ?\n40, Private,x\n", {.header = false});
  check_text(kept, "1", {" State-gov ", " Private"});
  BOOST_TEST_REQUIRE(kept.remarks.size() == 2u);
  BOOST_TEST(kept.remarks[0].find("line 1, column \"1\"") != std::string::npos, kept.remarks[0]);
  BOOST_TEST(kept.remarks[0].find("\" State-gov \"") != std::string::npos);
  const Table trimmed = read(content, {.header = false, .trim = true});
  check_text(trimmed, "1", {"State-gov"});
  check_text(trimmed, "2", {"a b"});
  BOOST_TEST(trimmed.remarks.empty());
}

BOOST_AUTO_TEST_CASE(missing_cells_are_what_the_caller_says) {
  const std::string content = "a,b\n1,x\n?,?\n3,\n";
  const Table table = read(content, {.missing = {"?", ""}});
  BOOST_TEST((std::isnan(table.numbers("a")[1])));
  check_text(table, "b", {"x", "", ""});
  BOOST_TEST(table.drop_missing().rows() == 1u);
  check_throws<ParseError>([&] { table.tensor({"a"}); }, {"t.csv, line 3, column \"a\"", "missing"});
  BOOST_TEST(!read(content).is_numeric("a"));
  check_throws<ParseError>([] { read("a\n1\ninf\n").tensor({"a"}); }, {"line 3", "infinite"});
  check_throws<ValueError>([&] { read(content).numbers("a"); }, {"line 3", "\"?\"", "text"});
}

BOOST_AUTO_TEST_CASE(what_is_a_number) {
  for (const char* number : {"5", " 5", "5\t", "+5", "5.", "5e0", "0005", "50E-1"})
    BOOST_TEST(read(std::string("a\n") + number + "\n").numbers("a")[0] == 5, number);
  for (const char* none : {"0x5", "5 5", "1e", "+-5", "+", ".", "5,0x", "\xD9\xA5"}) {  // the last: an Arabic 5
    CsvOptions semicolons{.delimiter = ';', .numeric = {"a"}};
    check_throws<ParseError>([&] { read(std::string("a\n") + none + "\n", semicolons); }, {"line 2", none});
  }
  BOOST_TEST(std::isnan(read("a\nnan\n").numbers("a")[0]));
}

BOOST_AUTO_TEST_CASE(types_can_be_demanded) {
  check_text(read("zip\n01234\n", {.text = {"zip"}}), "zip", {"01234"});
  check_throws<ParseError>([] { read("a,b\n1,2\n3,four\n", {.numeric = {"b"}}); },
                           {"t.csv, line 3, column \"b\"", "number expected", "\"four\""});
  check_throws<ValueError>([] { read("a\n1\n", {.numeric = {"b"}}); }, {"no column \"b\""});
  BOOST_TEST(read("a;b\n1,5;2\n", {.delimiter = ';'}).columns() == 2u);
}

BOOST_AUTO_TEST_CASE(malformed_files_are_refused_with_their_place) {
  check_throws<IoError>([] { read_csv(folder() / "none.csv"); }, {"none.csv", "No such file"});
  check_throws<IoError>([] { read_csv(folder() / ""); }, {"directory"});
  check_throws<ParseError>([] { read(""); }, {"t.csv", "no rows"});
  check_throws<ParseError>([] { read("a,b\n"); }, {"no rows"});
  check_throws<ParseError>([] { read("a,b\n1,2\n3\n"); }, {"line 3", "1 fields, 2 expected"});
  check_throws<ParseError>([] { read("a,b\n1,2,3\n"); }, {"line 2", "3 fields, 2 expected"});
  check_throws<ParseError>([] { read("a,b\n1,\"2\n3,4\n"); }, {"line 2, column 2", "never ends"});
  check_throws<ParseError>([] { read("a,b\n1,\"2\"3\n"); }, {"line 2, column 2", "closing quote"});
  check_throws<ParseError>([] { read("a,a\n1,2\n"); }, {"line 1, column 2", "\"a\" occurs twice"});
  check_throws<ParseError>([] { read("\n\na,a\n1,2\n"); }, {"line 3, column 2"});
  check_throws<ParseError>([] { read(std::string("a,b\n1,\0\n", 8)); }, {"line 2, column 2", "NUL"});
  check_throws<ValueError>([] { read("a,b\n1,2\n", {.names = {"x"}}); }, {"1 names", "2 columns"});
  check_throws<ValueError>([] { read("a\n1\n", {.delimiter = '"'}); }, {"delimiter"});
}

// A cut inside a number or between two rows leaves a valid file; nothing else may be read as one, and nothing may
// crash.
BOOST_AUTO_TEST_CASE(no_beginning_and_no_damage_crashes) {
  const std::string content = "a,b,\"c\"\n1, x,\"p \"\"q\"\"\"\n2,\"y\nz\",r\n";
  for (std::size_t length = 0; length < content.size(); ++length) {
    try {
      const Table table = read(content.substr(0, length));
      BOOST_TEST(table.columns() == 3u, length);
    } catch (const ParseError& error) {
      BOOST_TEST(std::string(error.what()).find(folder() / "t.csv") == 0u, error.what());
    }
  }
  handgrad::test::check_damage(folder(), content, [](const std::string& path) { read_csv(path); });
}

BOOST_AUTO_TEST_CASE(tables_are_taken_apart_and_changed) {
  Table table = read("a,b,c\n1, x,p\n2, y,q\n3, x,r\n");
  const std::vector<std::size_t> order{2, 0, 2};
  const Table taken = table.take(order);
  check_close(taken.numbers("a"), std::vector<double>{3, 1, 3}, 0, "a");
  BOOST_TEST(taken.where(0, "a").find("line 4") != std::string::npos);
  check_throws<ShapeError>([&] { table.take(std::vector<std::size_t>{3}); }, {"row 3 of 3"});

  check_close(table.indicator("b", " x"), std::vector<double>{1, 0, 1}, 0, "indicator");
  check_throws<ValueError>([&] { table.indicator("b", "x"); }, {"\"x\"", "\" x\", \" y\""});
  BOOST_TEST(table.replace("b", " x", "z") == 2u);
  check_text(table, "b", {"z", " y", "z"});
  check_throws<ValueError>([&] { table.replace("b", " x", "z"); }, {"\" x\"", "\"z\""});

  BOOST_TEST(table.drop({"a", "c"}).names() == std::vector<std::string>{"b"}, boost::test_tools::per_element());
  check_throws<ValueError>([&] { table.drop({"d"}); }, {"\"d\"", "\"a\", \"b\", \"c\""});
  check_throws<ValueError>([&] { table.add("a", Table::Numbers(3)); }, {"\"a\" already"});
  check_throws<ShapeError>([&] { table.add("d", Table::Numbers(2)); }, {"2 rows, 3 expected"});
  check_throws<ValueError>([&] { table.text("a"); }, {"numbers, text expected"});
}

BOOST_AUTO_TEST_CASE(the_last_row_may_lack_its_line_end) {
  const Table table = read("a,b\n1,2\n3,4");
  BOOST_TEST(table.rows() == 2u);
  BOOST_TEST(table.numbers("b")[1] == 4);
}

// As in strtod, not as a text column.
BOOST_AUTO_TEST_CASE(numbers_beyond_double_are_zero_or_infinite) {
  constexpr double inf = std::numeric_limits<double>::infinity();
  const std::vector<std::pair<std::string, double>> numbers{{"1e-400", 0},
                                                            {"-1e-400", -0.0},
                                                            {"1e400", inf},
                                                            {"-1e400", -inf},
                                                            {"1E+400", inf},
                                                            {"1e999", inf},
                                                            {"0e999", 0},
                                                            {"1e-99999999999999999999", 0},
                                                            {"4.9e-324", 4.9e-324},
                                                            {"1e99999999999999999999", inf},
                                                            {"0." + std::string(400, '0') + "1", 0},
                                                            {"1" + std::string(400, '0'), inf},
                                                            {std::string(400, '0') + "1", 1},
                                                            {"0." + std::string(400, '0') + "1e402", 10},
                                                            {"1" + std::string(400, '0') + "e-800", 0},
                                                            {".000001e-330", 0},
                                                            {"123456.e304", inf}};
  for (const auto& [text, number] : numbers) {
    const double got = read("a\n" + text + "\n").numbers("a")[0];
    BOOST_TEST(got == number, text);
    BOOST_TEST(std::signbit(got) == std::signbit(number), text);
  }
  check_throws<ParseError>([] { read("a\n1\n1e400\n").tensor({"a"}); }, {"line 3, column \"a\"", "infinite"});
}

BOOST_AUTO_TEST_CASE(lines_end_in_cr_too) {
  for (const char* end : {"\r", "\n", "\r\n"}) {
    std::string content = "a,b|1,x|2,\"y|z\"||3,w|";
    for (std::size_t at; (at = content.find('|')) != std::string::npos;) content.replace(at, 1, end);
    const Table table = read(content);
    check_close(table.numbers("a"), std::vector<double>{1, 2, 3}, 0, "a");
    check_text(table, "b", {"x", std::string("y") + end + "z", "w"});
    BOOST_TEST(table.where(2, "a").find("line 6") != std::string::npos, table.where(2, "a"));
  }
  check_throws<ParseError>([] { read("a,b\r1,2\r3\r"); }, {"line 3", "1 fields, 2 expected"});
}

BOOST_AUTO_TEST_CASE(numbers_with_a_decimal_comma) {
  const std::string content = "a;b;c\n1,5;2;x\n-,25;1.000,5;1,5\n1e-3;;\n";
  const Table table = read(content, {.delimiter = ';', .decimal = ','});
  check_close(table.numbers("a"), std::vector<double>{1.5, -0.25, 0.001}, 0, "a");
  check_text(table, "b", {"2", "1.000,5", ""});  // grouped digits are not a number
  check_text(table, "c", {"x", "1,5", ""});
  BOOST_TEST(read("a\tb\n1,5\t2,5\n", {.delimiter = '\t', .decimal = ','}).numbers("b")[0] == 2.5);
  BOOST_TEST(read("a,b\n\"1,5\",2\n", {.text = {"a"}}).remarks.empty());
  BOOST_TEST(!read("a\n1.5\n", {.delimiter = ';', .decimal = ','}).is_numeric("a"));
  check_throws<ParseError>([] { read("a;b\n1,5;1,5,5\n", {.delimiter = ';', .decimal = ',', .numeric = {"b"}}); },
                           {"line 2, column \"b\"", "1,5,5"});
  check_throws<ValueError>([] { read("a\n1\n", {.decimal = ','}); }, {"','", "delimiter and the decimal sign"});
  // Without the option: text, and a remark.
  const Table text = read(content, {.delimiter = ';'});
  check_text(text, "a", {"1,5", "-,25", "1e-3"});
  BOOST_TEST_REQUIRE(text.remarks.size() == 1u);
  BOOST_TEST(text.remarks[0].find("line 2, column \"a\": the value \"1,5\"") != std::string::npos, text.remarks[0]);
  BOOST_TEST(text.remarks[0].find("decimal = ','") != std::string::npos);
}

BOOST_AUTO_TEST_CASE(aligned_columns) {
  const std::string content = "  a   b c\n\n   1    2   x \n 10   20 \"y z\"  \n";
  const Table table = read(content, {.delimiter = ' ', .merge_delimiters = true});
  check_close(table.numbers("a"), std::vector<double>{1, 10}, 0, "a");
  check_close(table.numbers("b"), std::vector<double>{2, 20}, 0, "b");
  check_text(table, "c", {"x", "y z"});
  BOOST_TEST(table.remarks.empty());
  BOOST_TEST(table.where(1, "a").find("line 4") != std::string::npos);
  BOOST_TEST(read("a\t\tb\n1\t2\n", {.delimiter = '\t', .merge_delimiters = true}).numbers("b")[0] == 2);
  const Table trimmed = read("a\tb\n 1\t 2\n", {.delimiter = '\t', .trim = true});
  check_close(trimmed.numbers("b"), std::vector<double>{2}, 0, "trimmed");
  BOOST_TEST(read("a b\n1 2\n", {.delimiter = ' ', .trim = true}).columns() == 2u);
  // Without the option: empty cells, and a remark, also where they cause an error.
  const Table apart = read("1   2 3\n4   5 6\n", {.delimiter = ' ', .header = false});
  BOOST_TEST(apart.columns() == 5u);
  BOOST_TEST_REQUIRE(apart.remarks.size() == 1u);
  BOOST_TEST(apart.remarks[0].find("line 1: spaces in a row") != std::string::npos, apart.remarks[0]);
  check_throws<ParseError>([&] { read(content, {.delimiter = ' '}); }, {"occurs twice", "merge_delimiters"});
  check_throws<ParseError>([] { read("a b\n1  2\n", {.delimiter = ' '}); }, {"3 fields, 2", "merge_delimiters"});
  BOOST_TEST(read("a b\n1 2\n", {.delimiter = ' '}).remarks.empty());
}

// A large file is read by several threads, in pieces of whole lines.
BOOST_AUTO_TEST_CASE(large_files_are_read_the_same_by_any_number_of_threads) {
  std::string content = "n,text\n";
  for (std::size_t row = 0; content.size() < 400'000; ++row) {
    if (row % 1000 == 999) content += row % 2000 == 999 ? "\r\n" : "\n\r";  // empty lines, of each kind
    content += std::to_string(row) + ",t" + std::to_string(row * row) + (row % 3 == 0 ? "\n" : "\r\n");
  }
  const int threads = num_threads();
  for (const char* ending : {"", "x,1,2\n1,2", "1,\"never ends\n"}) {
    std::vector<std::string> told;
    for (const int number : {1, 2, 3, 7}) {
      set_num_threads(number);
      try {
        const Table table = read(content + ending);
        std::string text;
        for (std::size_t row = 0; row < table.rows(); ++row)
          text += table.where(row, "n") + std::to_string(table.numbers("n")[row]) + table.text("text")[row];
        told.push_back(text);
      } catch (const ParseError& error) {
        told.emplace_back(error.what());
      }
    }
    set_num_threads(threads);
    for (const std::string& text : told) BOOST_TEST((text == told[0]), ending << text.substr(0, 200));
    BOOST_TEST((told[0].size() > 1000) == (*ending == '\0'));
  }
}

// Four times as many columns, read, listed, dropped and made a tensor, take about four times the processor time; if it
// were quadratic, sixteen times.
BOOST_AUTO_TEST_CASE(time_grows_as_the_number_of_columns) {
  const auto seconds = [](std::size_t columns) {
    std::string head, row;
    for (std::size_t i = 0; i < columns; ++i) {
      head += (i ? ",c" : "c") + std::to_string(i);
      row += i ? ",1" : "1";
    }
    const std::string path = folder().file("wide.csv", head + "\n" + row + "\n");
    double best = 1e9;
    for (int run = 0; run < 3; ++run) {
      const std::clock_t begin = std::clock();
      const Table table = read_csv(path);
      const std::vector<std::string> names = table.names();
      BOOST_TEST(table.tensor(names).numel() == columns);
      BOOST_TEST(table.drop(names).columns() == 0u);
      best = std::min(best, static_cast<double>(std::clock() - begin) / CLOCKS_PER_SEC);
    }
    return best;
  };
  const double few = seconds(10000), many = seconds(40000);
  BOOST_TEST(many < 9 * few + 0.02, "10,000 columns took " << few << " s, 40,000 took " << many << " s");
}
