#pragma once

#include <string>
#include <string_view>

#include "handgrad/base/tensor.hpp"

namespace handgrad {

/// The array of a NumPy .npy file (versions 1 to 3), in C or Fortran order, of floats, integers or booleans of either
/// byte order, converted to T. Format: NumPy's NEP 1. An archive of several arrays (.npz): io/npz.hpp.
/// Throws IoError when the file cannot be read and ParseError, with the file's name and the offset, for anything else
/// than such an array of rank 0 to 4 (a structured type, Python objects, text), for one byte too few or too many, or
/// when memory would not hold what it announces.
template <class T = float>
Tensor<T> read_npy(const std::string& path);

/// Writes `np.load`'s file for a tensor on any device: version 1.0, '<f4' or '<f8', C order. The file appears whole or
/// not at all. Throws IoError.
template <class T>
void write_npy(const std::string& path, const Tensor<T>& tensor);

namespace detail {
/// The array whose file these bytes are; `place` begins the message of an error.
template <class T>
Tensor<T> parse_npy(const std::string& place, std::string_view bytes);
}  // namespace detail

}  // namespace handgrad
