// Archives of NumPy arrays, as written by numpy.savez and numpy.savez_compressed (tests/reference/subject_npz.py).
#include "handgrad/io/npz.hpp"

#include <algorithm>

#include "handgrad/base/errors.hpp"
#include "handgrad/io/npy.hpp"
#include "support/check.hpp"
#include "support/files.hpp"
#include "support/reference.hpp"

using namespace handgrad;
using handgrad::test::check_close;
using handgrad::test::check_throws;
using handgrad::test::Reference;
using handgrad::test::TemporaryFolder;
using namespace std::string_literals;

namespace {

std::string from_hex(const std::string& hex) {
  std::string bytes;
  for (std::size_t i = 0; i < hex.size(); i += 2) bytes += static_cast<char>(std::stoi(hex.substr(i, 2), nullptr, 16));
  return bytes;
}

const std::string& savez(const char* name) {
  static std::map<std::string, std::string> kept;
  std::string& bytes = kept[name];
  if (bytes.empty())
    for (const Reference& c : Reference::file("npz")["cases"])
      if (c["name"].text() == name) bytes = from_hex(c["bytes"].text());
  return bytes;
}

/// The bytes with the n-th `from` replaced by `to`, of the same length.
std::string replaced(std::string bytes, const std::string& from, const std::string& to, std::size_t n = 0) {
  std::size_t at = bytes.find(from);
  for (; n > 0; --n) at = bytes.find(from, at + 1);
  BOOST_TEST_REQUIRE((at != std::string::npos && from.size() == to.size()));
  return bytes.replace(at, to.size(), to);
}

std::string number(std::uint64_t value, std::size_t size) {
  std::string bytes;
  for (std::size_t i = 0; i < size; ++i) bytes += static_cast<char>(value >> (8 * i) & 255);
  return bytes;
}

void read_all(const std::string& path) {
  const Npz npz(path);
  for (const std::string& name : npz.names()) npz.read(name);
}

}  // namespace

BOOST_AUTO_TEST_CASE(arrays_are_read_by_name) {
  const TemporaryFolder folder;
  for (const Reference& c : Reference::file("npz")["cases"]) {
    const std::string name = c["name"].text();
    const Npz npz(folder.file("a.npz", savez(name.c_str())));
    BOOST_TEST(npz.names().size() == c["arrays"].size(), name);
    for (const std::string& key : c["arrays"].keys()) {
      const auto expected = c["arrays"][key.c_str()].tensor<double>();
      BOOST_TEST(npz.has(key));
      check_close(npz.read<double>(key), expected, 0, name + " " + key);
      check_close(npz.read(key), c["arrays"][key.c_str()].tensor<float>(), 0, name + " " + key);
    }
  }
  const Npz mnist(folder.file("mnist.npz", savez("savez_compressed")));
  BOOST_TEST(mnist.names() == (std::vector<std::string>{"x_train", "y_train", "x_test"}),
             boost::test_tools::per_element());
  BOOST_TEST(!mnist.has("z"));
  check_throws<ValueError>([&] { mnist.read("z"); }, {"mnist.npz", "no array z", "x_train, y_train, x_test"});
}

BOOST_AUTO_TEST_CASE(what_is_no_array_of_numbers_is_refused_only_when_read) {
  const TemporaryFolder folder;
  const Npz npz(folder.file("r.npz", from_hex(Reference::file("npz")["refused"].text())));
  BOOST_TEST((npz.read("ok") == Tensor<float>{1, 2}));
  check_throws<ParseError>([&] { npz.read("objects"); }, {"r.npz, objects.npy", "Python objects"});
  check_throws<ParseError>([&] { npz.read("records"); }, {"r.npz, records.npy", "structured type", "('a', '<f4')"});
  check_throws<ParseError>([&] { npz.read("words"); }, {"words.npy", "'<U2' (text)"});
  check_throws<ParseError>([&] { npz.read("complex"); }, {"complex.npy", "complex numbers"});
}

BOOST_AUTO_TEST_CASE(what_is_no_archive_is_refused) {
  const TemporaryFolder folder;
  const std::string& good = savez("savez_compressed");
  const auto refused = [&](const std::string& content, std::initializer_list<const char*> texts) {
    const std::string path = folder.file("bad.npz", content);
    check_throws<ParseError>([&] { read_all(path); }, texts);
  };
  check_throws<IoError>([&] { Npz(folder / "none.npz"); }, {"none.npz"});
  check_throws<ParseError>([&] { read_npy(folder.file("a.npy", good)); }, {"a.npy", "an archive", "Npz(path)"});
  refused("", {"bad.npz", "not a ZIP archive"});
  refused("\x93NUMPY", {"not a ZIP archive"});
  refused(good.substr(0, good.size() - 1), {"cut short"});
  const std::size_t central = good.rfind("PK\x01\x02");
  refused(std::string(good).replace(central + 8, 2, "\1\0"s), {"x_test.npy", "encrypted"});
  refused(std::string(good).replace(central + 10, 2, "\x0C\0"s), {"x_test.npy", "method 12"});
  refused(std::string(good).replace(central + 16, 1, "?"), {"x_test.npy", "checksum"});
  // 640 bytes of zeros and a header, packed into some 140, could unpack to a thousand bytes, not to a million.
  refused(std::string(good).replace(central + 24, 4, number(1000000, 4)),
          {"x_test.npy", "1000000 bytes", "cannot give"});
  refused(std::string(good).replace(central + 24, 4, number(1000, 4)), {"x_test.npy", "do not give the 1000"});
  refused(std::string(good).replace(central + 24, 4, number(700, 4)), {"x_test.npy", "do not give the 700"});
  refused(std::string(good).replace(central + 24, 4, number(0xFFFFFFFF, 4)), {"x_test.npy", "64 bits is missing"});
  refused(std::string(good).replace(central + 20, 4, number(0xFFFFFFF0, 4)), {"x_test.npy", "the file ends before"});
  refused(std::string(good).replace(central + 42, 4, number(0xFFFFFFF0, 4)), {"x_test.npy", "nothing lies"});
  refused(replaced(good, "x_test.npy", "z_test.npy"), {"x_test.npy", "another name"});
  refused(replaced(replaced(good, "y_train.npy", "x_train.npy"), "y_train.npy", "x_train.npy"),
          {"x_train is there twice"});
  const std::size_t end = good.rfind("PK\x05\x06");
  refused(std::string(good).replace(end + 10, 2, number(4, 2)), {"4 arrays announced", "has 3"});
  refused(std::string(good).replace(end + 16, 4, number(1, 4)), {"does not lie where"});
  refused(std::string(good).replace(end + 4, 2, number(1, 2)), {"several parts"});
}

BOOST_AUTO_TEST_CASE(comments_and_sizes_in_64_bits_are_read) {
  const TemporaryFolder folder;
  const std::string& good = savez("savez_compressed");
  const std::size_t end = good.rfind("PK\x05\x06");
  const std::uint64_t directory = good.find("PK\x01\x02");
  // A comment at the end that contains the end mark.
  const std::string comment = "made by PK\x05\x06, by hand";
  const std::string commented = std::string(good).replace(end + 20, 2, number(comment.size(), 2)) + comment;
  BOOST_TEST(Npz(folder.file("c.npz", commented)).read("y_train").numel() == 6u);
  // As in an archive of more than 4 GB: sizes in 64 bits, the 32-bit fields full.
  const std::size_t last = good.rfind("PK\x01\x02"), name = std::string("x_test.npy").size();
  std::string entry = good.substr(last, end - last);
  const auto field = [&](std::size_t at) {
    return static_cast<std::uint64_t>(static_cast<unsigned char>(entry[at])) |
           static_cast<std::uint64_t>(static_cast<unsigned char>(entry[at + 1])) << 8;
  };
  const std::string extra = "\1\0\x18\0"s + number(field(24), 8) + number(field(20), 8) + number(field(42), 8);
  for (const std::size_t at : {20u, 24u, 42u}) entry.replace(at, 4, "\xFF\xFF\xFF\xFF");
  entry.replace(30, 2, number(extra.size(), 2));
  entry.insert(46 + name, extra);
  std::string large = good.substr(0, last) + entry;
  const std::uint64_t end64 = large.size();
  large += "PK\x06\x06" + number(44, 8) + number(45, 2) + number(45, 2) + number(0, 4) + number(0, 4) + number(3, 8) +
           number(3, 8) + number(end64 - directory, 8) + number(directory, 8);
  large += "PK\x06\x07" + number(0, 4) + number(end64, 8) + number(1, 4);
  large += "PK\x05\x06\0\0\0\0\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\0\0"s;
  const Npz npz(folder.file("large.npz", large));
  BOOST_TEST(npz.names().size() == 3u);
  BOOST_TEST((npz.read("x_test").shape() == Shape{40, 4, 4}));
  BOOST_TEST(npz.read("y_train").to_vector() == (std::vector<float>{0, 1, 2, 0, 1, 2}),
             boost::test_tools::per_element());
}

BOOST_AUTO_TEST_CASE(damaged_archives_give_errors) {
  const TemporaryFolder folder;
  handgrad::test::check_truncations(folder, savez("savez_compressed"), read_all);
  handgrad::test::check_damage(folder, savez("mixed_compressed"), read_all);
}
