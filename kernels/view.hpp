#pragma once
// What kernels work on: addresses and sizes. Elements are contiguous and row-major, in the memory of the device that
// runs the kernel. Ownership and matching sizes are the caller's responsibility.
#include <concepts>
#include <cstddef>

namespace handgrad::kernels {

/// Contiguous elements; `Vector<const T>` is read-only. Null means no vector, where an operation allows it.
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

/// rows×columns elements, row by row.
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

/// A tensor seen along one of its dimensions: outer·inner lines of `size` elements that are `inner` apart.
template <class T>
struct Lines {
  T* data = nullptr;
  std::size_t outer = 1, size = 0, inner = 1;

  template <std::same_as<const T> U>
  operator Lines<U>() const {
    return {data, outer, size, inner};
  }
};

/// A gradient to accumulate into: grad = β·grad + …, β = 0 (grad is not read) or 1. Null: not wanted.
template <class T>
struct Gradient {
  T* data = nullptr;
  T beta = 0;

  explicit operator bool() const { return data != nullptr; }
};

}  // namespace handgrad::kernels
