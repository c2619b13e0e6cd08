#include "handgrad/io/npz.hpp"

#include <zlib.h>

#include <algorithm>
#include <cstdint>
#include <set>
#include <string_view>

#include "handgrad/base/errors.hpp"
#include "handgrad/io/elements.hpp"
#include "handgrad/io/files.hpp"
#include "handgrad/io/npy.hpp"

namespace handgrad {
namespace {

// ZIP archives (https://pkware.cachefly.net/webdocs/casestudies/APPNOTE.TXT): the directory near the end says where the
// entries lie; the record after it says where the directory lies.
constexpr std::string_view entry_mark = "PK\x03\x04", directory_mark = "PK\x01\x02", end_mark = "PK\x05\x06",
                           end64_mark = "PK\x06\x06", locator64_mark = "PK\x06\x07";
constexpr std::size_t entry_size = 30, directory_entry_size = 46, end_size = 22, end64_size = 56, locator64_size = 20;
constexpr std::size_t in_64_bits = 0xFFFFFFFF;  // in place of a size: see the extra field

template <class V>
V number(std::string_view bytes, std::size_t at) {
  return detail::load_number<V>(bytes.data() + at, std::endian::little);
}
std::size_t number16(std::string_view bytes, std::size_t at) { return number<std::uint16_t>(bytes, at); }
std::size_t number32(std::string_view bytes, std::size_t at) { return number<std::uint32_t>(bytes, at); }
std::size_t number64(std::string_view bytes, std::size_t at) { return number<std::uint64_t>(bytes, at); }

bool has_mark(std::string_view bytes, std::size_t at, std::string_view mark, std::size_t size) {
  return at <= bytes.size() && size <= bytes.size() - at && bytes.substr(at, mark.size()) == mark;
}

struct Directory {
  std::size_t at = 0, entries = 0, end = 0;
};

class Archive {
 public:
  Archive(const std::string& path, std::string_view bytes) : path_(path), bytes_(bytes) {}

  Directory directory() const {
    // The end record has a comment of up to 65535 bytes, so search from the back.
    std::size_t at = bytes_.size();
    const std::size_t least = at > end_size + 0xFFFF ? at - end_size - 0xFFFF : 0;
    do {
      at = at == 0 ? std::string_view::npos : bytes_.rfind(end_mark, at - 1);
      if (at == std::string_view::npos || at < least)
        fail(bytes_.substr(0, 4) == entry_mark ? "the archive is cut short: its directory, which ends it, is missing"
                                               : "not a .npz file: not a ZIP archive");
    } while (!has_mark(bytes_, at, end_mark, end_size) || number16(bytes_, at + 20) != bytes_.size() - at - end_size);
    if (number16(bytes_, at + 4) != 0 || number16(bytes_, at + 6) != 0) fail("an archive in several parts");
    Directory d{number32(bytes_, at + 16), number16(bytes_, at + 10), at};
    std::size_t size = number32(bytes_, at + 12);
    if (at >= locator64_size && has_mark(bytes_, at - locator64_size, locator64_mark, locator64_size)) {
      const std::size_t end64 = number64(bytes_, at - locator64_size + 8);
      if (!has_mark(bytes_, end64, end64_mark, end64_size)) fail("the end of the archive's directory is damaged");
      d = {number64(bytes_, end64 + 48), number64(bytes_, end64 + 32), end64};
      size = number64(bytes_, end64 + 40);
    }
    if (d.at > d.end || size != d.end - d.at) fail("the archive's directory does not lie where its end says");
    return d;
  }

  /// The 64-bit sizes among an entry's extra fields.
  std::string_view extra64(std::string_view extra) const {
    while (extra.size() >= 4) {
      const std::size_t size = number16(extra, 2);
      if (size > extra.size() - 4) break;
      if (number16(extra, 0) == 1) return extra.substr(4, size);
      extra.remove_prefix(4 + size);
    }
    return {};
  }

  [[noreturn]] void fail(const std::string& what) const { throw ParseError(path_ + ": " + what); }

 private:
  const std::string& path_;
  std::string_view bytes_;
};

}  // namespace

Npz::Npz(const std::string& path) : path_(path), bytes_(read_file(path)) {
  const Archive archive(path_, bytes_);
  const std::string_view bytes = bytes_;
  const Directory directory = archive.directory();
  std::set<std::string> seen;
  std::size_t at = directory.at;
  while (at < directory.end) {
    if (!has_mark(bytes.substr(0, directory.end), at, directory_mark, directory_entry_size))
      archive.fail("the archive's directory is damaged at byte " + std::to_string(at));
    const std::size_t name_size = number16(bytes, at + 28), extra_size = number16(bytes, at + 30),
                      comment_size = number16(bytes, at + 32);
    if (name_size + extra_size + comment_size > directory.end - at - directory_entry_size)
      archive.fail("the archive's directory is damaged at byte " + std::to_string(at));
    Entry e;
    e.stored_name = bytes.substr(at + directory_entry_size, name_size);
    e.method = static_cast<unsigned>(number16(bytes, at + 10));
    e.checksum = number<std::uint32_t>(bytes, at + 16);
    e.packed = number32(bytes, at + 20);
    e.size = number32(bytes, at + 24);
    e.at = number32(bytes, at + 42);
    std::string_view extra = archive.extra64(bytes.substr(at + directory_entry_size + name_size, extra_size));
    for (std::size_t* size : {&e.size, &e.packed, &e.at}) {
      if (*size != in_64_bits) continue;
      if (extra.size() < 8) archive.fail(e.stored_name + ": its size in 64 bits is missing");
      *size = number64(extra, 0);
      extra.remove_prefix(8);
    }
    e.name = e.stored_name.ends_with(".npy") ? e.stored_name.substr(0, name_size - 4) : e.stored_name;
    if (number16(bytes, at + 8) & 1) archive.fail(e.stored_name + " is encrypted");
    if (!seen.insert(e.name).second) archive.fail("the name " + e.name + " is there twice");
    entries_.push_back(std::move(e));
    at += directory_entry_size + name_size + extra_size + comment_size;
  }
  if (entries_.size() != directory.entries)
    archive.fail(std::to_string(directory.entries) + " arrays announced, the archive's directory has " +
                 std::to_string(entries_.size()));
}

std::vector<std::string> Npz::names() const {
  std::vector<std::string> names;
  for (const Entry& entry : entries_) names.push_back(entry.name);
  return names;
}

bool Npz::has(const std::string& name) const {
  return std::any_of(entries_.begin(), entries_.end(), [&](const Entry& entry) { return entry.name == name; });
}

std::string Npz::unpack(const Entry& e) const {
  const std::string_view bytes = bytes_;
  const auto fail = [&](const std::string& what) { throw ParseError(path_ + ", " + e.stored_name + ": " + what); };
  // Only the name is taken from the entry's own header: the sizes may come after the data.
  if (!has_mark(bytes, e.at, entry_mark, entry_size)) fail("nothing lies where the archive's directory says");
  const std::size_t name_size = number16(bytes, e.at + 26),
                    before = entry_size + name_size + number16(bytes, e.at + 28);
  if (before > bytes.size() - e.at || e.packed > bytes.size() - e.at - before)
    fail(std::to_string(e.packed) + " bytes announced, the file ends before");
  if (bytes.substr(e.at + entry_size, name_size) != e.stored_name) fail("another name stands before its data");
  const std::string_view packed = bytes.substr(e.at + before, e.packed);

  std::string content;
  if (e.method == 0) {
    if (e.size != e.packed) fail("stored, yet its size is not that of its bytes");
    content = packed;
  } else if (e.method == 8) {
    // Deflate makes at most 258 bytes of two bits, so 1032 of a byte: reject larger claims before allocating.
    if (e.size / 1032 > e.packed)
      fail(std::to_string(e.size) + " bytes announced, which " + std::to_string(e.packed) + " packed ones cannot give");
    z_stream stream{};
    if (inflateInit2(&stream, -MAX_WBITS) != Z_OK) fail("zlib cannot begin");
    int status = Z_OK;
    while (status == Z_OK && stream.total_out <= e.size) {  // one byte too many reveals a wrong size
      constexpr std::size_t block = std::size_t{1} << 20;
      if (stream.total_out == content.size()) content.resize(std::min(e.size + 1, 2 * content.size() + block));
      // zlib's input is not const though only read, and its sizes are 32-bit.
      stream.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(packed.data() + stream.total_in));
      stream.avail_in = static_cast<uInt>(std::min(block, packed.size() - stream.total_in));
      stream.next_out = reinterpret_cast<Bytef*>(content.data() + stream.total_out);
      stream.avail_out = static_cast<uInt>(std::min(block, content.size() - stream.total_out));
      status = inflate(&stream, Z_NO_FLUSH);
    }
    const std::size_t read = stream.total_in, got = stream.total_out;
    inflateEnd(&stream);
    if (status != Z_STREAM_END || read != e.packed || got != e.size)
      fail("damaged: its packed bytes do not give the " + std::to_string(e.size) + " bytes announced");
    content.resize(e.size);
  } else {
    fail("packed by method " + std::to_string(e.method) + "; stored (0) or deflated (8) expected");
  }
  if (crc32_z(0, reinterpret_cast<const Bytef*>(content.data()), content.size()) != e.checksum)
    fail("damaged: its checksum does not fit");
  return content;
}

template <class T>
Tensor<T> Npz::read(const std::string& name) const {
  std::string names;
  for (const Entry& entry : entries_) {
    if (entry.name == name) return detail::parse_npy<T>(path_ + ", " + entry.stored_name, unpack(entry));
    names += (names.empty() ? "" : ", ") + entry.name;
  }
  throw ValueError(path_ + ": there is no array " + name + "; there are " + (names.empty() ? "none" : names));
}

template Tensor<float> Npz::read<float>(const std::string&) const;
template Tensor<double> Npz::read<double>(const std::string&) const;

}  // namespace handgrad
