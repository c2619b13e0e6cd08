#pragma once
// Files for tests of readers and writers.
#include <unistd.h>

#include <boost/test/unit_test.hpp>
#include <filesystem>
#include <fstream>
#include <string>
#include <string_view>

#include "handgrad/base/errors.hpp"

namespace handgrad::test {

/// A folder that is removed at the end of the test.
class TemporaryFolder {
 public:
  TemporaryFolder() {
    std::string name = (std::filesystem::temp_directory_path() / "handgrad-test-XXXXXX").string();
    if (!::mkdtemp(name.data())) throw std::runtime_error("no temporary folder: " + name);
    path_ = name;
  }
  ~TemporaryFolder() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }
  TemporaryFolder(const TemporaryFolder&) = delete;
  TemporaryFolder& operator=(const TemporaryFolder&) = delete;

  std::string operator/(const std::string& name) const { return (path_ / name).string(); }
  /// Writes a file and returns its path.
  std::string file(const std::string& name, std::string_view content) const {
    std::filesystem::remove(path_ / name);  // replacing a file's content makes ext4 flush it, thousands of times here
    std::ofstream(path_ / name, std::ios::binary) << content;
    return *this / name;
  }

 private:
  std::filesystem::path path_;
};

/// Every proper prefix of a file, and the file with one byte more, must give a ParseError that names the file.
template <class Read>
void check_truncations(const TemporaryFolder& folder, const std::string& content, Read read) {
  const auto refused = [&](const std::string& damaged, const std::string& what) {
    const std::string path = folder.file("damaged", damaged);
    try {
      read(path);
      BOOST_ERROR(what + " was read as if nothing was wrong");
    } catch (const ParseError& error) {
      BOOST_TEST(std::string(error.what()).find(path) == 0u,
                 what << ": the message does not begin with the file: " << error.what());
    } catch (const std::exception& error) {
      BOOST_ERROR(what + " gave another error: " + error.what());
    }
  };
  for (std::size_t length = 0; length < content.size(); ++length)
    refused(content.substr(0, length), "the first " + std::to_string(length) + " bytes");
  refused(content + '\0', "a byte too many");
}

/// Whatever single byte changes to whatever value, `read` returns or throws one of our Errors.
template <class Read>
void check_damage(const TemporaryFolder& folder, const std::string& content, Read read) {
  for (std::size_t at = 0; at < content.size(); ++at) {
    for (const int value : {0x00, 0x01, 0x20, 0x22, 0x2C, 0x39, 0x7F, 0x80, 0xFF}) {
      std::string damaged = content;
      damaged[at] = static_cast<char>(value);
      const std::string path = folder.file("damaged", damaged);
      try {
        read(path);
      } catch (const Error&) {
      } catch (const std::exception& error) {
        BOOST_ERROR("byte " << at << " set to " << value << " gave " << error.what());
      }
    }
  }
  BOOST_TEST(!content.empty());
}

}  // namespace handgrad::test
