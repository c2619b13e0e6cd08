#include "handgrad/data/idx.hpp"

#include <zlib.h>

#include <algorithm>
#include <cerrno>
#include <cstdint>
#include <memory>
#include <system_error>

#include "handgrad/base/errors.hpp"
#include "handgrad/io/elements.hpp"

namespace handgrad {
namespace {

/// A file's bytes, unpacked if gzipped; zlib passes other files through unchanged.
class Unpacked {
 public:
  explicit Unpacked(const std::string& path) : path_(path) {
    errno = 0;
    file_.reset(gzopen(path.c_str(), "rb"));
    if (!file_) throw IoError(path + ": cannot be opened: " + std::generic_category().message(errno));
  }

  /// `count` bytes, read in blocks so that memory grows only as data arrives.
  std::string read(std::size_t count, const char* what) {
    std::string bytes;
    while (bytes.size() < count) {
      constexpr std::size_t block = std::size_t{1} << 20;
      const std::size_t wanted = std::min(count - bytes.size(), block), had = bytes.size();
      bytes.resize(had + wanted);
      const int got = gzread(file_.get(), bytes.data() + had, static_cast<unsigned>(wanted));
      const bool cut_short = got >= 0 && static_cast<std::size_t>(got) < wanted;
      if (got > 0) offset_ += static_cast<std::size_t>(got);
      check_stream();
      if (cut_short) fail(std::string("the file ends before ") + what);
    }
    return bytes;
  }

  void expect_end() {
    char extra;
    const bool more = gzread(file_.get(), &extra, 1) == 1;
    check_stream();
    if (more) fail("more bytes than the header announces");
  }

  [[noreturn]] void fail(const std::string& what) const {
    throw ParseError(path_ + ", offset " + std::to_string(offset_) + ": " + what);
  }

 private:
  struct Close {
    void operator()(gzFile_s* file) const { gzclose(file); }
  };

  void check_stream() const {
    int error = Z_OK;
    const std::string message = gzerror(file_.get(), &error);
    if (error == Z_ERRNO) throw IoError(path_ + ": cannot be read: " + message);
    if (error != Z_OK) fail("damaged gzip data: " + message);
  }

  std::string path_;
  std::unique_ptr<gzFile_s, Close> file_;
  std::size_t offset_ = 0;
};

template <class T>
detail::ElementType<T> type_of(int code, const Unpacked& file) {
  using detail::element_type;
  switch (code) {
    case 0x08:
      return element_type<std::uint8_t, T>;
    case 0x09:
      return element_type<std::int8_t, T>;
    case 0x0B:
      return element_type<std::int16_t, T>;
    case 0x0C:
      return element_type<std::int32_t, T>;
    case 0x0D:
      return element_type<float, T>;
    case 0x0E:
      return element_type<double, T>;
    default:
      file.fail("not an IDX file: element type " + std::to_string(code));
  }
}

}  // namespace

template <class T>
Tensor<T> read_idx(const std::string& path) {
  Unpacked file(path);
  const std::string magic = file.read(4, "its magic number");  // 0, 0, the elements' type, the number of dimensions
  if (magic[0] != 0 || magic[1] != 0) file.fail("not an IDX file: it does not begin with two zero bytes");
  const auto type = type_of<T>(magic[2], file);
  const std::size_t rank = static_cast<unsigned char>(magic[3]);
  if (rank < 1 || rank > Shape::max_rank) file.fail(std::to_string(rank) + " dimensions, 1 to 4 expected");

  const std::string sizes = file.read(4 * rank, "the sizes of its dimensions");
  Shape shape;
  std::size_t bytes = type.size;
  bool overflow = false;
  for (std::size_t d = 0; d < rank; ++d) {
    shape.push_back(detail::load_number<std::uint32_t>(sizes.data() + 4 * d, std::endian::big));
    overflow |= __builtin_mul_overflow(bytes, shape[-1], &bytes);
  }
  if (overflow) file.fail("shape " + shape.str() + " is larger than any memory");

  const std::string elements = file.read(bytes, ("the elements of shape " + shape.str()).c_str());
  file.expect_end();
  auto result = Tensor<T>::empty(shape);
  type.load(elements.data(), result.numel(), std::endian::big, result.data());
  return result;
}

template Tensor<float> read_idx<float>(const std::string&);
template Tensor<double> read_idx<double>(const std::string&);

}  // namespace handgrad
