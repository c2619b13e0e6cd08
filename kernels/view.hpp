#pragma once
// What kernels work on: addresses and sizes. Elements are contiguous and row-major, and lie in the memory of the device
// that runs the kernel. Who owns them, and whether sizes fit together, is the caller's business.
#include <concepts>
#include <cstddef>

namespace handgrad::kernels {

/// Elements one after the other. `Vector<const T>` is for reading. Data may be null where an operation says so: then
/// there is no such vector.
template <class T>
struct Vector {
  T* data = nullptr;
  std::size_t size = 0;

  explicit operator bool() const { return data != nullptr; }
  template <std::same_as<const T> U>
  operator Vector<U>() const {
    return {data, size};
  }
};

/// rows×columns elements, row after row.
template <class T>
struct Matrix {
  T* data = nullptr;
  std::size_t rows = 0, columns = 0;

  std::size_t size() const { return rows * columns; }
  explicit operator bool() const { return data != nullptr; }
  template <std::same_as<const T> U>
  operator Matrix<U>() const {
    return {data, rows, columns};
  }
};

/// A tensor seen along one of its dimensions: outer·inner lines, each of `size` elements that are `inner` apart.
template <class T>
struct Lines {
  T* data = nullptr;
  std::size_t outer = 1, size = 0, inner = 1;

  template <std::same_as<const T> U>
  operator Lines<U>() const {
    return {data, outer, size, inner};
  }
};

/// A gradient to accumulate into: grad = β·grad + …, β = 0 or 1; β = 0 does not read it. Null: not wanted.
template <class T>
struct Gradient {
  T* data = nullptr;
  T beta = 0;

  explicit operator bool() const { return data != nullptr; }
};

}  // namespace handgrad::kernels
