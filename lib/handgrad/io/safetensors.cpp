#include "handgrad/io/safetensors.hpp"

#include <algorithm>
#include <array>
#include <bit>
#include <cctype>
#include <cstdint>
#include <nlohmann/json.hpp>
#include <optional>
#include <set>

#include "handgrad/base/errors.hpp"
#include "handgrad/contract/counter.hpp"
#include "handgrad/io/elements.hpp"
#include "handgrad/io/files.hpp"

namespace handgrad {
namespace {

using nlohmann::json;

template <class T>
std::optional<detail::ElementType<T>> type_of(const std::string& name) {
  if (name == "BOOL") return detail::element_type_of<T>("b1");
  if (name == "BF16") return detail::element_type<detail::BrainFloat, T>;
  // F32 is NumPy's f4: the letter and the size in bits.
  for (const char* code : {"f2", "f4", "f8", "i1", "i2", "i4", "i8", "u1", "u2", "u4", "u8"})
    if (name == static_cast<char>(std::toupper(code[0])) + std::to_string(8 * (code[1] - '0')))
      return detail::element_type_of<T>(code);
  return std::nullopt;
}

/// A tensor as the header announces it.
struct Entry {
  std::string name, dtype;
  std::vector<std::size_t> shape;
  std::size_t begin = 0, end = 0;
};

std::string in_words(const std::vector<std::size_t>& shape) {
  std::string text;
  for (const std::size_t size : shape) text += (text.empty() ? "(" : ", ") + std::to_string(size);
  return text.empty() ? "()" : text + (shape.size() == 1 ? ",)" : ")");
}

/// The header's JSON, without repeated names in an object, of which JSON readers silently keep one, and no deeper than
/// the format: a million brackets must not overflow the stack.
json parse_header(const std::string& text) {
  std::array<std::set<std::string>, 6> names;  // of the open object at each depth
  return json::parse(text, [&](int depth, json::parse_event_t event, json& parsed) {
    if (depth > 4) throw ParseError("the header is nested too deeply for JSON of this format");
    if (event == json::parse_event_t::object_start) names[static_cast<std::size_t>(depth) + 1].clear();
    if (event == json::parse_event_t::key &&
        !names[static_cast<std::size_t>(depth)].insert(parsed.get<std::string>()).second)
      throw ParseError("the name " + parsed.dump() + " is there twice in the header's JSON");
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
    } catch (const ParseError& error) {
      fail(error.what());
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

  /// In the order of the elements, which fill the rest of the file without gaps.
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

  /// As a vector if a Tensor cannot have its shape.
  template <class T>
  Tensor<T> tensor(const Entry& e) const {
    const auto type = type_of<T>(e.dtype);
    if (!type)
      fail(e.name + " has elements of type " + e.dtype +
           "; F64, F32, F16, BF16, I8 to I64, U8 to U64 and BOOL can be read");
    if (!detail::sizes_fit(e.shape, type->size, e.end - e.begin))
      fail(e.name + ": shape " + in_words(e.shape) + " of " + e.dtype + " does not fit " + size_text(e.end - e.begin));
    const bool fits = e.shape.size() <= Shape::max_rank;
    auto tensor =
        Tensor<T>::empty(fits ? Shape(e.shape.begin(), e.shape.end()) : Shape{(e.end - e.begin) / type->size});
    type->load(bytes_.data() + data_ + e.begin, tensor.numel(), std::endian::little, tensor.data());
    if (detail::is_counter(e.name) && e.shape.empty()) {
      double count = 0;
      type_of<double>(e.dtype)->load(bytes_.data() + data_ + e.begin, 1, std::endian::little, &count);
      return detail::count_tensor<T>(count);
    }
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
  Safetensors<T> result{{}, reader.metadata(), {}};
  for (const Entry& entry : reader.entries()) {
    result.tensors.emplace_back(entry.name, reader.tensor<T>(entry));
    if (entry.shape.size() > Shape::max_rank) result.shapes[entry.name] = entry.shape;
  }
  return result;
}

template <class T>
Tensor<T> read_safetensors(const std::string& path, const std::string& name) {
  const Reader reader(path);
  std::string names;
  for (const Entry& entry : reader.entries()) {
    names += (names.empty() ? "" : ", ") + entry.name;
    if (entry.name != name) continue;
    if (entry.shape.size() > Shape::max_rank)
      reader.fail(name + " has " + std::to_string(entry.shape.size()) + " dimensions, " + in_words(entry.shape) +
                  ", at most 4 expected");
    return reader.tensor<T>(entry);
  }
  throw ValueError(path + ": there is no tensor " + name + "; there are " + (names.empty() ? "none" : names));
}

template <class T>
void write_safetensors(const std::string& path, const std::vector<NamedTensor<T>>& tensors,
                       const std::map<std::string, std::string>& metadata) {
  static_assert(std::endian::native == std::endian::little);
  // The elements' bytes; a counter is written as int64.
  const auto is_counter = [](const auto& name, const Tensor<T>& tensor) {
    return detail::is_counter(name) && detail::is_count(tensor);
  };
  const auto bytes_of = [&](const auto& name, const Tensor<T>& tensor) {
    if (is_counter(name, tensor)) {
      const auto count = static_cast<std::int64_t>(detail::count_of(tensor));
      return std::string(reinterpret_cast<const char*>(&count), sizeof count);
    }
    const std::vector<T> elements = tensor.to_vector();
    return std::string(reinterpret_cast<const char*>(elements.data()), elements.size() * sizeof(T));
  };
  nlohmann::ordered_json header = nlohmann::ordered_json::object();
  if (!metadata.empty()) header["__metadata__"] = metadata;
  std::size_t at = 0;
  for (const auto& [name, tensor] : tensors) {
    if (header.contains(name) || name == "__metadata__")
      throw ValueError(path + ": the name " + name + " is taken, tensors need names of their own");
    const bool counter = is_counter(name, tensor);
    const std::size_t bytes = counter ? sizeof(std::int64_t) : tensor.numel() * sizeof(T);
    const Shape shape = counter ? Shape{} : tensor.shape();
    header[name] = {{"dtype", counter          ? "I64"
                              : sizeof(T) == 4 ? "F32"
                                               : "F64"},
                    {"shape", std::vector<std::size_t>(shape.begin(), shape.end())},
                    {"data_offsets", {at, at + bytes}}};
    at += bytes;
  }
  std::string text;
  try {
    text = header.dump();
  } catch (const json::exception&) {
    throw ValueError(path + ": a name or an entry of the metadata is not UTF-8");
  }
  text.append((8 - text.size() % 8) % 8, ' ');  // the elements begin at a multiple of 8
  std::string bytes;
  bytes.reserve(8 + text.size() + at);
  const std::uint64_t length = text.size();
  bytes.append(reinterpret_cast<const char*>(&length), 8);
  bytes += text;
  for (const auto& [name, tensor] : tensors) bytes += bytes_of(name, tensor);
  write_file(path, bytes);
}

template Safetensors<float> read_safetensors<float>(const std::string&);
template Safetensors<double> read_safetensors<double>(const std::string&);
template Tensor<float> read_safetensors<float>(const std::string&, const std::string&);
template Tensor<double> read_safetensors<double>(const std::string&, const std::string&);
template void write_safetensors(const std::string&, const std::vector<NamedTensor<float>>&,
                                const std::map<std::string, std::string>&);
template void write_safetensors(const std::string&, const std::vector<NamedTensor<double>>&,
                                const std::map<std::string, std::string>&);

}  // namespace handgrad
