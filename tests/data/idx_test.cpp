// The IDX reader: files made here, plain and gzipped, whole, cut short and damaged.
#include "handgrad/data/idx.hpp"

#include <zlib.h>

#include "handgrad/base/errors.hpp"
#include "support/check.hpp"
#include "support/files.hpp"

using namespace handgrad;
using handgrad::test::check_throws;
using handgrad::test::TemporaryFolder;
using namespace std::string_literals;

namespace {

// 2 images of 2×3 bytes.
const std::string images =
    "\0\0\x08\x03\0\0\0\x02\0\0\0\x02\0\0\0\x03"s + "\x00\x01\x02\x03\x04\x05\xFF\x80\x7F\x0A\x0B\x0C"s;

std::string gzipped(const TemporaryFolder& folder, const std::string& content) {
  const std::string path = folder / "packed";
  gzFile file = gzopen(path.c_str(), "wb9");
  gzwrite(file, content.data(), static_cast<unsigned>(content.size()));
  gzclose(file);
  std::ifstream packed(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(packed), {}};
}

}  // namespace

BOOST_AUTO_TEST_CASE(images_are_read_plain_and_gzipped) {
  const TemporaryFolder folder;
  const Tensor<float> expected({2, 2, 3}, {0, 1, 2, 3, 4, 5, 255, 128, 127, 10, 11, 12});
  BOOST_TEST((read_idx(folder.file("plain", images)) == expected));
  BOOST_TEST((read_idx(folder.file("gz", gzipped(folder, images))) == expected));
}

BOOST_AUTO_TEST_CASE(all_element_types_are_read) {
  const TemporaryFolder folder;
  const auto first = [&](char type, const std::string& element) {
    return read_idx<double>(folder.file("one", "\0\0"s + type + "\x01\0\0\0\x01"s + element)).item();
  };
  BOOST_TEST(first('\x08', "\xFE") == 254);
  BOOST_TEST(first('\x09', "\xFE") == -2);
  BOOST_TEST(first('\x0B', "\xFF\xFE") == -2);
  BOOST_TEST(first('\x0C', "\0\x01\0\0"s) == 65536);
  BOOST_TEST(first('\x0D', "\x3F\xC0\0\0"s) == 1.5);
  BOOST_TEST(first('\x0E', "\xBF\xF8\0\0\0\0\0\0"s) == -1.5);
}

BOOST_AUTO_TEST_CASE(every_cut_is_refused) {
  const TemporaryFolder folder;
  const auto read = [](const std::string& path) { read_idx(path); };
  handgrad::test::check_truncations(folder, images, read);
  handgrad::test::check_damage(folder, images, read);
  // zlib ignores what follows gzip's end, so only cuts are checked.
  const std::string packed = gzipped(folder, images);
  for (std::size_t length = 0; length < packed.size(); ++length) {
    const std::string path = folder.file("cut", packed.substr(0, length));
    check_throws<ParseError>([&] { read_idx(path); }, {path.c_str()});
  }
  handgrad::test::check_damage(folder, packed, read);
}

BOOST_AUTO_TEST_CASE(errors_say_what_is_wrong) {
  const TemporaryFolder folder;
  const auto read = [&](const std::string& content) {
    return [&folder, content] { read_idx(folder.file("x", content)); };
  };
  check_throws<IoError>([&] { read_idx(folder / "none"); }, {"none", "No such file"});
  check_throws<IoError>([&] { read_idx(folder / ""); }, {"directory"});
  check_throws<ParseError>(read("age,wage\n39,1\n"), {"not an IDX file"});
  check_throws<ParseError>(read("\0\0\x07\x01"s), {"element type 7"});
  check_throws<ParseError>(read("\0\0\x08\x05"s), {"5 dimensions"});
  check_throws<ParseError>(read("\0\0\x08\x02\0\0\0\x02"s), {"sizes"});
  check_throws<ParseError>(read(images.substr(0, 20)), {"offset 20", "(2, 2, 3)"});
  check_throws<ParseError>(read(images + "x"), {"more bytes"});
  // Headers that promise 2⁹⁶ bytes, and 2³² in a file of 20: neither allocates them.
  check_throws<ParseError>(read("\0\0\x08\x03\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF"s),
                           {"larger than any memory"});
  check_throws<ParseError>(read("\0\0\x08\x01\xFF\xFF\xFF\xFF____________"s), {"the file ends"});
}
