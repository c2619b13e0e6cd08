#include "handgrad/io/npy.hpp"

#include <algorithm>
#include <array>
#include <bit>
#include <cctype>
#include <charconv>
#include <cstdint>
#include <optional>

#include "handgrad/base/errors.hpp"
#include "handgrad/io/elements.hpp"
#include "handgrad/io/files.hpp"

namespace handgrad {
namespace {

constexpr std::string_view magic = "\x93NUMPY";

struct Header {
  std::string descr;
  bool fortran_order = false;
  Shape shape;
};

/// Reads the file's beginning: magic, version, and a Python dictionary of three entries.
class HeaderReader {
 public:
  HeaderReader(const std::string& place, std::string_view bytes) : place_(place), bytes_(bytes) {}

  Header read() {
    if (bytes_.substr(0, 4) == "PK\x03\x04")
      fail("not a NumPy file of one array but an archive, as numpy.savez writes them: Npz(path).read(name) reads one");
    if (bytes_.substr(0, magic.size()) != magic) fail("not a NumPy file: it does not begin with \\x93NUMPY");
    at_ = magic.size();
    const auto version = take(2, "the version");
    if (version[0] < 1 || version[0] > 3 || version[1] != 0) {
      fail("version " + std::to_string(+version[0]) + "." + std::to_string(+version[1]) + ", 1.0 to 3.0 expected");
    }
    const std::size_t length = version[0] == 1
                                   ? detail::load_number<std::uint16_t>(take(2, "the header's length").data(), little)
                                   : detail::load_number<std::uint32_t>(take(4, "the header's length").data(), little);
    if (length > bytes_.size() - at_) fail("the header of " + std::to_string(length) + " bytes is cut short");
    end_ = at_ + length;
    dictionary();
    while (at_ < end_) {
      if (!std::isspace(static_cast<unsigned char>(bytes_[at_]))) fail("unexpected text after the header's dictionary");
      ++at_;
    }
    return std::move(header_);
  }

  std::size_t offset() const { return at_; }

  [[noreturn]] void fail(const std::string& what) const {
    throw ParseError(place_ + ", offset " + std::to_string(at_) + ": " + what);
  }

 private:
  static constexpr std::endian little = std::endian::little;

  std::string_view take(std::size_t count, const char* what) {
    if (count > bytes_.size() - at_) fail(std::string("the file ends before ") + what);
    at_ += count;
    return bytes_.substr(at_ - count, count);
  }

  void dictionary() {
    std::optional<std::string> descr;
    std::optional<bool> fortran_order;
    std::optional<Shape> shape;
    expect('{');
    while (!skip('}')) {
      const std::string key = quoted();
      expect(':');
      if (key == "descr" && !descr) {
        if (next_is('[') || next_is('('))
          fail("a structured type, " + std::string(bytes_.substr(at_, std::min<std::size_t>(end_ - at_, 60))) +
               " …: each element is a record of several fields, and an array of one type is expected; "
               "save its fields one by one, numpy.save(\"a.npy\", x[\"a\"])");
        descr = quoted();
      } else if (key == "fortran_order" && !fortran_order) {
        fortran_order = skip_word("True");
        if (!*fortran_order && !skip_word("False")) fail("True or False expected");
      } else if (key == "shape" && !shape) {
        shape = tuple();
      } else {
        fail("the keys 'descr', 'fortran_order' and 'shape' expected once each, got '" + key + "'");
      }
      if (!skip(',')) {
        expect('}');
        break;
      }
    }
    if (!descr || !fortran_order || !shape) fail("the header lacks 'descr', 'fortran_order' or 'shape'");
    header_ = {*descr, *fortran_order, *shape};
  }

  Shape tuple() {
    Shape shape;
    expect('(');
    while (!skip(')')) {
      std::size_t size = 0;
      const char* first = bytes_.data() + at_;
      const auto [last, error] = std::from_chars(first, bytes_.data() + end_, size);
      if (error != std::errc()) fail("a dimension's size expected");
      at_ += static_cast<std::size_t>(last - first);
      if (shape.rank() == Shape::max_rank) fail("more than 4 dimensions");
      shape.push_back(size);
      if (!skip(',')) {
        expect(')');
        break;
      }
    }
    return shape;
  }

  void skip_spaces() {
    while (at_ < end_ && (bytes_[at_] == ' ' || bytes_[at_] == '\n' || bytes_[at_] == '\t')) ++at_;
  }
  bool skip(char c) { return skip_word({&c, 1}); }
  bool skip_word(std::string_view word) {
    skip_spaces();
    const bool found = bytes_.substr(at_, end_ - at_).substr(0, word.size()) == word;
    if (found) {
      at_ += word.size();
      skip_spaces();
    }
    return found;
  }
  bool next_is(char c) {
    skip_spaces();
    return at_ < end_ && bytes_[at_] == c;
  }
  void expect(char c) {
    if (!skip(c)) fail(std::string("'") + c + "' expected in the header");
  }
  std::string quoted() {
    const char quote = skip('\'') ? '\'' : '"';
    if (quote == '"') expect('"');
    const std::size_t close = bytes_.substr(0, end_).find(quote, at_);
    if (close == std::string_view::npos) fail("a string without its closing quote");
    std::string text(bytes_.substr(at_, close - at_));
    at_ = close;
    expect(quote);
    return text;
  }

  const std::string& place_;
  std::string_view bytes_;
  std::size_t at_ = 0, end_ = 0;
  Header header_;
};

/// Names a type that cannot be read, by NumPy's letter for its kind.
std::string in_words(std::string_view code) {
  switch (code.empty() ? '?' : code[0]) {
    case 'O':
      return "Python objects, which only Python can read";
    case 'U':
    case 'S':
    case 'a':
      return "text";
    case 'c':
      return "complex numbers";
    case 'M':
    case 'm':
      return "dates or durations";
    case 'V':
      return "records or raw bytes";
    case 'f':
      return "floats of another size";
    default:
      return "not a type of NumPy's";
  }
}

/// Reorders elements stored with the first index running fastest into row-major order.
template <class T>
Tensor<T> from_fortran_order(const Tensor<T>& stored, const Shape& shape) {
  auto result = Tensor<T>::empty(shape);
  std::array<std::size_t, Shape::max_rank> index{};
  for (std::size_t i = 0; i < stored.numel(); ++i) {
    std::size_t position = 0;
    for (std::size_t d = 0; d < shape.rank(); ++d) position = position * shape[static_cast<int>(d)] + index[d];
    result.data()[position] = stored.data()[i];
    for (std::size_t d = 0; d < shape.rank() && ++index[d] == shape[static_cast<int>(d)]; ++d) index[d] = 0;
  }
  return result;
}

}  // namespace

template <class T>
Tensor<T> detail::parse_npy(const std::string& place, std::string_view bytes) {
  HeaderReader reader(place, bytes);
  const Header header = reader.read();

  const char order = header.descr.empty() ? '?' : header.descr[0];
  const bool known = order == '<' || order == '>' || order == '|' || order == '=';
  const std::string_view code = std::string_view(header.descr).substr(known ? 1 : 0);
  const auto type = known ? element_type_of<T>(code) : std::nullopt;
  if (!type)
    reader.fail("elements of type '" + header.descr + "' (" + in_words(code) +
                "); floats (f2, f4, f8), integers or booleans expected");

  const std::string_view elements = bytes.substr(reader.offset());
  if (!sizes_fit(header.shape, type->size, elements.size()))
    reader.fail("shape " + header.shape.str() + " of '" + header.descr + "' does not fit the " +
                std::to_string(elements.size()) + " bytes that follow");

  auto stored = Tensor<T>::empty(header.shape);
  const bool big = order == '>' || (order == '=' && std::endian::native == std::endian::big);
  type->load(elements.data(), elements.size() / type->size, big ? std::endian::big : std::endian::little,
             stored.data());
  return header.fortran_order ? from_fortran_order(stored, header.shape) : stored;
}

template <class T>
Tensor<T> read_npy(const std::string& path) {
  return detail::parse_npy<T>(path, read_file(path));
}

template <class T>
void write_npy(const std::string& path, const Tensor<T>& tensor) {
  static_assert(std::endian::native == std::endian::little);
  std::string shape;
  for (const std::size_t size : tensor.shape()) shape += std::to_string(size) + ", ";
  if (tensor.rank() > 1) shape.resize(shape.size() - 2);
  if (tensor.rank() == 1) shape.resize(shape.size() - 1);
  std::string header =
      "{'descr': '<f" + std::to_string(sizeof(T)) + "', 'fortran_order': False, 'shape': (" + shape + "), }";
  const std::size_t before = magic.size() + 4;
  header.append(63 - (before + header.size()) % 64, ' ');  // the elements begin at a multiple of 64
  header += '\n';

  std::string bytes(magic);
  bytes += {'\x01', '\x00', static_cast<char>(header.size() & 0xFF), static_cast<char>(header.size() >> 8)};
  bytes += header;
  const std::vector<T> elements = tensor.to_vector();
  bytes.append(reinterpret_cast<const char*>(elements.data()), elements.size() * sizeof(T));
  write_file(path, bytes);
}

template Tensor<float> detail::parse_npy<float>(const std::string&, std::string_view);
template Tensor<double> detail::parse_npy<double>(const std::string&, std::string_view);
template Tensor<float> read_npy<float>(const std::string&);
template Tensor<double> read_npy<double>(const std::string&);
template void write_npy(const std::string&, const Tensor<float>&);
template void write_npy(const std::string&, const Tensor<double>&);

}  // namespace handgrad
