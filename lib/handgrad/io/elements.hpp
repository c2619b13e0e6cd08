#pragma once
// For readers of binary files: how numbers are stored, and how many a file may announce.
#include <algorithm>
#include <bit>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <limits>
#include <optional>
#include <string_view>

namespace handgrad::detail {

/// A number of 16 bits: 1 of sign, 5 of exponent, 10 of fraction.
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

/// The high half of a float.
struct BrainFloat {
  std::uint16_t bits;
  explicit operator double() const { return std::bit_cast<float>(std::uint32_t{bits} << 16); }
};

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
  for (std::size_t i = 0; i < count; ++i) {
    const V number = load_number<V>(from + i * sizeof(V), order);
    if constexpr (std::is_arithmetic_v<V>)
      to[i] = static_cast<T>(number);
    else
      to[i] = static_cast<T>(static_cast<double>(number));
  }
}

/// A stored type: the size of an element, and its conversion to T.
template <class T>
struct ElementType {
  std::size_t size;
  void (*load)(const char* from, std::size_t count, std::endian order, T* to);
};

template <class V, class T>
constexpr ElementType<T> element_type{sizeof(V), &load_numbers<V, T>};

/// The type with NumPy's code, without the byte order: f2, f4, f8, i1 … i8, u1 … u8, b1; null for any other.
template <class T>
std::optional<ElementType<T>> element_type_of(std::string_view code) {
  if (code == "f2") return element_type<Half, T>;
  if (code == "f4") return element_type<float, T>;
  if (code == "f8") return element_type<double, T>;
  if (code == "b1" || code == "u1") return element_type<std::uint8_t, T>;
  if (code == "u2") return element_type<std::uint16_t, T>;
  if (code == "u4") return element_type<std::uint32_t, T>;
  if (code == "u8") return element_type<std::uint64_t, T>;
  if (code == "i1") return element_type<std::int8_t, T>;
  if (code == "i2") return element_type<std::int16_t, T>;
  if (code == "i4") return element_type<std::int32_t, T>;
  if (code == "i8") return element_type<std::int64_t, T>;
  return std::nullopt;
}

/// Whether `bytes` bytes are exactly the elements of an array of these sizes. No product can overflow: each factor is
/// first compared with what is left.
template <class Sizes>
bool sizes_fit(const Sizes& sizes, std::size_t element_size, std::size_t bytes) {
  if (bytes % element_size != 0) return false;
  const std::size_t held = bytes / element_size;
  if (std::find(sizes.begin(), sizes.end(), 0u) != sizes.end()) return held == 0;
  std::size_t count = 1;
  for (const std::size_t size : sizes) {
    if (count > held / size) return false;
    count *= size;
  }
  return count == held;
}

}  // namespace handgrad::detail
