// NumPy's files, both ways. The bytes here were written by numpy.save (NumPy 1.26, little-endian machine).
#include "handgrad/io/npy.hpp"

#include <sys/resource.h>

#include <cerrno>
#include <cmath>
#include <csignal>

#include "handgrad/base/errors.hpp"
#include "handgrad/io/files.hpp"
#include "support/check.hpp"
#include "support/files.hpp"

using namespace handgrad;
using handgrad::test::check_throws;
using handgrad::test::TemporaryFolder;
using namespace std::string_literals;

namespace {
bool no_room = false;
}

// Replaces the C library's: simulates a full disk on request.
extern "C" int fsync(int) {
  errno = ENOSPC;
  return no_room ? -1 : 0;
}

namespace {

/// A version 1.0 file with this dictionary, padded to 64 as by numpy.save.
std::string npy(const std::string& dictionary, const std::string& elements) {
  std::string header = dictionary;
  header.append(63 - (10 + header.size()) % 64, ' ');
  header += '\n';
  return "\x93NUMPY\x01\0"s + static_cast<char>(header.size()) + '\0' + header + elements;
}

const std::string float_2x3 = npy("{'descr': '<f4', 'fortran_order': False, 'shape': (2, 3), }",
                                  "\0\0\0\0\0\0\x80\x3F\0\0\0\x40\0\0\x40\x40\0\0\x80\x40\0\0\xA0\x40"s);

}  // namespace

BOOST_AUTO_TEST_CASE(files_are_written_as_numpy_writes_them) {
  const TemporaryFolder folder;
  write_npy(folder / "a.npy", Tensor<float>{{0, 1, 2}, {3, 4, 5}});
  BOOST_TEST(read_file(folder / "a.npy") == float_2x3);
  write_npy(folder / "b.npy", Tensor<double>{1.5});
  BOOST_TEST(read_file(folder / "b.npy") ==
             npy("{'descr': '<f8', 'fortran_order': False, 'shape': (1,), }", "\0\0\0\0\0\0\xF8\x3F"s));
  write_npy(folder / "c.npy", Tensor<float>({}, {2}));
  BOOST_TEST(read_file(folder / "c.npy") ==
             npy("{'descr': '<f4', 'fortran_order': False, 'shape': (), }", "\0\0\0\x40"s));
}

BOOST_AUTO_TEST_CASE(what_was_written_is_read) {
  const TemporaryFolder folder;
  for (const Shape& shape : {Shape{}, Shape{7}, Shape{0}, Shape{3, 5}, Shape{2, 0, 3}, Shape{2, 3, 4, 5}}) {
    auto x = Tensor<double>::empty(shape);
    for (std::size_t i = 0; i < x.numel(); ++i) x.data()[i] = 0.1 * static_cast<double>(i) - 1;
    write_npy(folder / "x.npy", x);
    BOOST_TEST((read_npy<double>(folder / "x.npy") == x), shape.str());
  }
}

BOOST_AUTO_TEST_CASE(all_types_orders_and_versions_are_read) {
  const TemporaryFolder folder;
  const auto read = [&](const std::string& content) {
    return read_npy<double>(folder.file("x.npy", content)).to_vector();
  };
  const auto one = [&](const std::string& descr, const std::string& element) {
    return read(npy("{'descr': '" + descr + "', 'fortran_order': False, 'shape': (1,), }", element))[0];
  };
  BOOST_TEST(one("|b1", "\x01") == 1);
  BOOST_TEST(one("|u1", "\xFE") == 254);
  BOOST_TEST(one("|i1", "\xFE") == -2);
  BOOST_TEST(one("<i2", "\xFE\xFF") == -2);
  BOOST_TEST(one("<u2", "\xFE\xFF") == 65534);
  BOOST_TEST(one("<i4", "\xFE\xFF\xFF\xFF") == -2);
  BOOST_TEST(one("<u4", "\xFE\xFF\xFF\xFF") == 4294967294.);
  BOOST_TEST(one("<i8", "\xFE\xFF\xFF\xFF\xFF\xFF\xFF\xFF") == -2);
  BOOST_TEST(one("<u8", "\x01\0\0\0\0\0\0\0"s) == 1);
  BOOST_TEST(one("<f2", "\0\xBE"s) == -1.5);
  BOOST_TEST(one(">f2", "\xBE\0"s) == -1.5);
  BOOST_TEST(one("<f2", "\x01\0"s) == std::ldexp(1.0, -24));
  BOOST_TEST(one("<f2", "\0\x7C"s) == INFINITY);
  BOOST_TEST(std::isnan(one("<f2", "\x01\x7C"s)));
  BOOST_TEST(one("<f8", "\0\0\0\0\0\0\xF8\x3F"s) == 1.5);
  BOOST_TEST(one(">f4", "\x3F\xC0\0\0"s) == 1.5);
  BOOST_TEST(one(">i2", "\xFF\xFE") == -2);
  // numpy.asfortranarray([[0, 1, 2], [3, 4, 5]], dtype='u1'): columns first.
  const auto expected = std::vector<double>{0, 1, 2, 3, 4, 5};
  BOOST_TEST(
      read(npy("{'descr': '|u1', 'fortran_order': True, 'shape': (2, 3), }", "\0\x03\x01\x04\x02\x05"s)) == expected,
      boost::test_tools::per_element());
  // numpy.arange(24).reshape(2, 3, 4) in Fortran order: the first index runs fastest.
  std::string columns_first;
  std::vector<double> in_order(24);
  for (int k = 0; k < 4; ++k)
    for (int j = 0; j < 3; ++j)
      for (int i = 0; i < 2; ++i) columns_first += static_cast<char>(12 * i + 4 * j + k);
  for (int i = 0; i < 24; ++i) in_order[static_cast<std::size_t>(i)] = i;
  BOOST_TEST(read(npy("{'descr': '|u1', 'fortran_order': True, 'shape': (2, 3, 4), }", columns_first)) == in_order,
             boost::test_tools::per_element());
  // Version 2.0, with a 4-byte header length, other spacing and double quotes.
  const std::string header = "{\"shape\":(1),\"fortran_order\":False,\"descr\":\"|u1\"}    \n";
  BOOST_TEST(read("\x93NUMPY\x02\0"s + static_cast<char>(header.size()) + "\0\0\0"s + header + "\x05")[0] == 5);
}

BOOST_AUTO_TEST_CASE(every_cut_and_all_damage_is_refused_or_harmless) {
  const TemporaryFolder folder;
  const auto read = [](const std::string& path) { read_npy(path); };
  handgrad::test::check_truncations(folder, float_2x3, read);
  handgrad::test::check_damage(folder, float_2x3, read);
}

BOOST_AUTO_TEST_CASE(errors_say_what_is_wrong) {
  const TemporaryFolder folder;
  const auto read = [&](const std::string& content) {
    return [&folder, content] { read_npy(folder.file("x", content)); };
  };
  const auto shape = [&](const std::string& sizes, const std::string& descr = "<f4") {
    return read(npy("{'descr': '" + descr + "', 'fortran_order': False, 'shape': " + sizes + ", }", "1234"));
  };
  check_throws<IoError>([&] { read_npy(folder / "none"); }, {"none", "No such file"});
  check_throws<ParseError>(read("PK\x03\x04"), {"not a NumPy file", "archive"});
  check_throws<ParseError>(read("PK"), {"not a NumPy file"});
  check_throws<ParseError>(read("\x93NUMPY\x04\0"s), {"version 4.0"});
  check_throws<ParseError>(read("\x93NUMPY\x01\0\xFF\xFF{"s), {"header of 65535 bytes"});
  check_throws<ParseError>(shape("(2,)"), {"(2,)", "4 bytes"});
  check_throws<ParseError>(shape("(1, 1, 1, 1, 1)"), {"more than 4"});
  check_throws<ParseError>(shape("(-1,)"), {"size expected"});
  check_throws<ParseError>(shape("(1,)", "<c8"), {"'<c8'"});
  check_throws<ParseError>(shape("(1,)", "|O"), {"'|O'", "Python objects"});
  check_throws<ParseError>(shape("(1,)", "<U4"), {"'<U4'", "text"});
  check_throws<ParseError>(shape("(1,)", "<M8[ns]"), {"'<M8[ns]'", "dates"});
  check_throws<ParseError>(shape("(1,)", "|V2"), {"'|V2'", "raw bytes"});
  check_throws<ParseError>(shape("(1,)", "<f16"), {"'<f16'", "another size"});
  // numpy.zeros(1, dtype=[('a', '<f4'), ('b', '<i4')]), and a type of two elements each.
  const auto structured = [&](const std::string& descr) {
    return read(npy("{'descr': " + descr + ", 'fortran_order': False, 'shape': (1,), }", "12345678"));
  };
  check_throws<ParseError>(structured("[('a', '<f4'), ('b', '<i4')]"), {"structured type", "[('a', '<f4')", "fields"});
  check_throws<ParseError>(structured("('<f4', (2,))"), {"structured type"});
  check_throws<ParseError>(shape("(1,)", ""), {"''"});
  check_throws<ParseError>(shape("(4294967296, 4294967296)"), {"does not fit"});   // 2⁶⁴ elements, wraps to 0
  check_throws<ParseError>(shape("(3, 12297829382473034411)"), {"does not fit"});  // 2⁶⁵ + 1, wraps to 1
  check_throws<ParseError>(shape("(18446744073709551615,)"), {"does not fit"});
  const std::string none = "(4611686018427387904, 4611686018427387904, 0)";  // no elements, whatever the other sizes
  BOOST_TEST(read_npy(folder.file("none", npy("{'descr': '<f4', 'fortran_order': False, 'shape': " + none + ", }", "")))
                 .numel() == 0u);
  check_throws<ParseError>(shape("(99999999999999999999,)"), {"size expected"});
  check_throws<ParseError>(read(npy("{'descr': '<f4', 'shape': (1,), }", "1234")), {"fortran_order"});
  check_throws<ParseError>(read(npy("{'descr': '<f4', 'descr': '<f4'}", "1234")), {"once each"});
  check_throws<ParseError>(read(npy("{'descr': '<f4', 'fortran_order': 1, 'shape': (1,)}", "1234")), {"True or False"});
}

BOOST_AUTO_TEST_CASE(writing_replaces_a_file_whole_or_not_at_all) {
  const TemporaryFolder folder;
  const std::string path = folder.file("x", "before");
  write_file(path, "after");
  BOOST_TEST(read_file(path) == "after");
  std::filesystem::create_symlink(path, folder / "link");
  write_file(folder / "link", "through the link");
  BOOST_TEST(read_file(path) == "through the link");
  BOOST_TEST(std::filesystem::is_symlink(folder / "link"));

  check_throws<IoError>([&] { write_file(folder / "no/such/folder", ""); }, {"no/such/folder"});
  check_throws<IoError>([&] { write_file(folder / "", ""); }, {"directory"});
  write_file("/dev/null", "written directly");
  BOOST_TEST(std::filesystem::is_character_file("/dev/null"));

  // A file that cannot be written completely, as on a full disk: the limit is 1000 bytes.
  rlimit before;
  getrlimit(RLIMIT_FSIZE, &before);
  const rlimit small{1000, before.rlim_max};
  std::signal(SIGXFSZ, SIG_IGN);
  setrlimit(RLIMIT_FSIZE, &small);
  check_throws<IoError>([&] { write_file(path, std::string(100000, 'x')); }, {path.c_str(), "cannot be written"});
  setrlimit(RLIMIT_FSIZE, &before);
  BOOST_TEST(read_file(path) == "through the link");

  // A disk or quota that turns out to be full only on flushing.
  no_room = true;
  check_throws<IoError>([&] { write_file(path, "lost"); }, {path.c_str(), "cannot be written", "No space"});
  no_room = false;
  BOOST_TEST(read_file(path) == "through the link");

  std::size_t files = 0;
  for ([[maybe_unused]] const auto& entry : std::filesystem::directory_iterator(folder / "")) ++files;
  BOOST_TEST(files == 2u);  // x and link: no partial file is left
}
