#pragma once

#include <algorithm>
#include <bit>
#include <cstring>
#include <string>
#include <string_view>

namespace handgrad {

/// The whole content of a file. Throws IoError naming the file when it is missing, no file, or cannot be read.
std::string read_file(const std::string& path);

/// Writes a file whole or not at all: into a new file beside it, flushed to the disk, which is then renamed. A program
/// that is killed, or a full disk, leaves what was there before. Devices and pipes (`/dev/stdout`) are written
/// directly. Throws IoError naming the file.
void write_file(const std::string& path, std::string_view content);

namespace detail {

/// The number of type V that the bytes at `from` hold in the given byte order.
template <class V>
V load_number(const char* from, std::endian order) {
  char bytes[sizeof(V)];
  std::memcpy(bytes, from, sizeof(V));
  if (order != std::endian::native) std::reverse(bytes, bytes + sizeof(V));
  V value;
  std::memcpy(&value, bytes, sizeof(V));
  return value;
}

/// The `count` numbers of type V from `from` on, converted to T.
template <class V, class T>
void load_numbers(const char* from, std::size_t count, std::endian order, T* to) {
  for (std::size_t i = 0; i < count; ++i) to[i] = static_cast<T>(load_number<V>(from + i * sizeof(V), order));
}

}  // namespace detail
}  // namespace handgrad
