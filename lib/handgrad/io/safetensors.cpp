#include "handgrad/io/safetensors.hpp"

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstdint>
#include <limits>
#include <nlohmann/json.hpp>
#include <set>

#include "handgrad/base/errors.hpp"
#include "handgrad/io/files.hpp"

namespace handgrad {
namespace {

using nlohmann::json;

// A half: 1 bit of sign, 5 of exponent, 10 of fraction. A brain float is the high half of a float.
struct Half {
  std::uint16_t bits;
  explicit operator double() const {
    const int exponent = bits >> 10 & 31, fraction = bits & 1023;
    double size = 0;
    if (exponent == 31)
      size = fraction ? std::numeric_limits<double>::quiet_NaN() : std::numeric_limits<double>::infinity();
    else
      size = exponent == 0 ? std::ldexp(fraction, -24) : std::ldexp(fraction + 1024, exponent - 25);
    return bits >> 15 ? -size : size;
  }
};
struct BrainFloat {
  std::uint16_t bits;
  explicit operator double() const { return std::bit_cast<float>(std::uint32_t{bits} << 16); }
};

template <class T>
struct Type {
  std::size_t size;
  void (*load)(const char*, std::size_t, std::endian, T*);
};

template <class V, class T>
void load_as_double(const char* from, std::size_t count, std::endian order, T* to) {
  for (std::size_t i = 0; i < count; ++i)
    to[i] = static_cast<T>(static_cast<double>(detail::load_number<V>(from + i * sizeof(V), order)));
}

template <class T>
Type<T> type_of(const std::string& name) {
  if (name == "F32") return {4, &detail::load_numbers<float, T>};
  if (name == "F64") return {8, &detail::load_numbers<double, T>};
  if (name == "F16") return {2, &load_as_double<Half, T>};
  if (name == "BF16") return {2, &load_as_double<BrainFloat, T>};
  if (name == "I64") return {8, &detail::load_numbers<std::int64_t, T>};
  if (name == "I32") return {4, &detail::load_numbers<std::int32_t, T>};
  if (name == "I16") return {2, &detail::load_numbers<std::int16_t, T>};
  if (name == "I8") return {1, &detail::load_numbers<std::int8_t, T>};
  if (name == "U64") return {8, &detail::load_numbers<std::uint64_t, T>};
  if (name == "U32") return {4, &detail::load_numbers<std::uint32_t, T>};
  if (name == "U16") return {2, &detail::load_numbers<std::uint16_t, T>};
  if (name == "U8" || name == "BOOL") return {1, &detail::load_numbers<std::uint8_t, T>};
  return {0, nullptr};
}

/// One tensor as the header announces it.
struct Entry {
  std::string name, dtype;
  std::vector<std::size_t> shape;
  std::size_t begin = 0, end = 0;
};

/// Never deeper than the format goes: a file of a million brackets must not overflow the stack.
json parse_header(const std::string& text) {
  return json::parse(text, [](int depth, json::parse_event_t, json&) {
    if (depth > 4) throw ParseError("nested too deeply");
    return true;
  });
}

class Reader {
 public:
  explicit Reader(const std::string& path) : path_(path), bytes_(read_file(path)) {
    if (bytes_.size() < 8) fail("8 bytes with the header's length expected, the file has " + size_text(bytes_.size()));
    const auto length = detail::load_number<std::uint64_t>(bytes_.data(), std::endian::little);
    if (length > bytes_.size() - 8)
      fail("a header of " + size_text(length) + " announced, " + size_text(bytes_.size() - 8) + " follow");
    data_ = 8 + static_cast<std::size_t>(length);
    try {
      header_ = parse_header(bytes_.substr(8, data_ - 8));
    } catch (const std::exception& error) {
      fail(std::string("the header is no JSON: ") + error.what());
    }
    if (!header_.is_object()) fail("the header is no JSON object");
  }

  std::map<std::string, std::string> metadata() const {
    std::map<std::string, std::string> metadata;
    if (!header_.contains("__metadata__")) return metadata;
    const json& object = header_["__metadata__"];
    if (!object.is_object()) fail("__metadata__ is no object");
    for (const auto& [key, value] : object.items()) {
      if (!value.is_string()) fail("__metadata__: " + key + " is no text");
      metadata[key] = value.get<std::string>();
    }
    return metadata;
  }

  /// In the order of the elements, which cover the rest of the file without gaps.
  std::vector<Entry> entries() const {
    std::vector<Entry> entries;
    for (const auto& [name, value] : header_.items())
      if (name != "__metadata__") entries.push_back(entry(name, value));
    std::sort(entries.begin(), entries.end(),
              [](const Entry& a, const Entry& b) { return std::pair(a.begin, a.end) < std::pair(b.begin, b.end); });
    std::size_t at = 0;
    for (const Entry& e : entries) {
      if (e.begin != at)
        fail(e.name + " begins at byte " + std::to_string(e.begin) + " of the elements, " + std::to_string(at) +
             " expected: ranges must not overlap nor leave gaps");
      at = e.end;
    }
    if (at != bytes_.size() - data_)
      fail(size_text(at) + " of elements announced, " + size_text(bytes_.size() - data_) + " follow");
    return entries;
  }

  template <class T>
  Tensor<T> tensor(const Entry& e) const {
    const Type<T> type = type_of<T>(e.dtype);
    if (!type.load)
      fail(e.name + " has elements of type " + e.dtype +
           "; F64, F32, F16, BF16, I8 to I64, U8 to U64 and BOOL can be read");
    if (e.shape.size() > Shape::max_rank)
      fail(e.name + " has " + std::to_string(e.shape.size()) + " dimensions, at most 4 expected");
    // The product cannot wrap: it is compared with what there is before each factor.
    const std::size_t held = (e.end - e.begin) / type.size;
    std::size_t count = std::find(e.shape.begin(), e.shape.end(), 0u) == e.shape.end() ? 1 : 0;
    for (const std::size_t size : e.shape) {
      if (count != 0 && size > held / count) count = std::numeric_limits<std::size_t>::max() / 2;
      if (count <= held) count *= size;
    }
    const Shape shape(e.shape.begin(), e.shape.end());
    if (count != held || held * type.size != e.end - e.begin)
      fail(e.name + ": shape " + shape.str() + " of " + e.dtype + " does not fit " + size_text(e.end - e.begin));
    auto tensor = Tensor<T>::empty(shape);
    type.load(bytes_.data() + data_ + e.begin, count, std::endian::little, tensor.data());
    return tensor;
  }

  [[noreturn]] void fail(const std::string& what) const { throw ParseError(path_ + ": " + what); }

 private:
  static std::string size_text(std::uint64_t n) { return std::to_string(n) + (n == 1 ? " byte" : " bytes"); }

  Entry entry(const std::string& name, const json& value) const {
    Entry e{name, "", {}};
    const auto whole = [&](const json& number) {
      if (!number.is_number_unsigned()) fail(name + ": whole numbers from 0 expected in shape and data_offsets");
      return number.get<std::size_t>();
    };
    if (!value.is_object() || !value.contains("dtype") || !value["dtype"].is_string() || !value.contains("shape") ||
        !value["shape"].is_array() || !value.contains("data_offsets") || !value["data_offsets"].is_array() ||
        value["data_offsets"].size() != 2)
      fail(name + ": dtype, shape and two data_offsets expected");
    e.dtype = value["dtype"].get<std::string>();
    for (const json& size : value["shape"]) e.shape.push_back(whole(size));
    e.begin = whole(value["data_offsets"][0]);
    e.end = whole(value["data_offsets"][1]);
    if (e.begin > e.end || e.end > bytes_.size() - data_)
      fail(name + ": data_offsets " + std::to_string(e.begin) + " to " + std::to_string(e.end) + ", but " +
           size_text(bytes_.size() - data_) + " of elements follow the header");
    return e;
  }

  const std::string& path_;
  std::string bytes_;
  std::size_t data_ = 0;
  json header_;
};

}  // namespace

template <class T>
Safetensors<T> read_safetensors(const std::string& path) {
  const Reader reader(path);
  Safetensors<T> result{{}, reader.metadata()};
  for (const Entry& entry : reader.entries()) result.tensors.emplace_back(entry.name, reader.tensor<T>(entry));
  return result;
}

template <class T>
void write_safetensors(const std::string& path, const std::vector<NamedTensor<T>>& tensors,
                       const std::map<std::string, std::string>& metadata) {
  static_assert(std::endian::native == std::endian::little);
  nlohmann::ordered_json header = nlohmann::ordered_json::object();
  if (!metadata.empty()) header["__metadata__"] = metadata;
  std::size_t at = 0;
  for (const auto& [name, tensor] : tensors) {
    if (header.contains(name) || name == "__metadata__")
      throw ValueError(path + ": the name " + name + " is taken, tensors need names of their own");
    const std::size_t bytes = tensor.numel() * sizeof(T);
    header[name] = {{"dtype", sizeof(T) == 4 ? "F32" : "F64"},
                    {"shape", std::vector<std::size_t>(tensor.shape().begin(), tensor.shape().end())},
                    {"data_offsets", {at, at + bytes}}};
    at += bytes;
  }
  std::string text;
  try {
    text = header.dump();
  } catch (const json::exception&) {
    throw ValueError(path + ": a name or an entry of the metadata is not UTF-8");
  }
  text.append((8 - text.size() % 8) % 8, ' ');  // so that the elements begin at a multiple of 8
  std::string bytes;
  bytes.reserve(8 + text.size() + at);
  const std::uint64_t length = text.size();
  bytes.append(reinterpret_cast<const char*>(&length), 8);
  bytes += text;
  for (const auto& [name, tensor] : tensors) {
    const std::vector<T> elements = tensor.to_vector();
    bytes.append(reinterpret_cast<const char*>(elements.data()), elements.size() * sizeof(T));
  }
  write_file(path, bytes);
}

template Safetensors<float> read_safetensors<float>(const std::string&);
template Safetensors<double> read_safetensors<double>(const std::string&);
template void write_safetensors(const std::string&, const std::vector<NamedTensor<float>>&,
                                const std::map<std::string, std::string>&);
template void write_safetensors(const std::string&, const std::vector<NamedTensor<double>>&,
                                const std::map<std::string, std::string>&);

}  // namespace handgrad
