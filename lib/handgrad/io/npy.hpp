#pragma once

#include <string>
#include <string_view>

#include "handgrad/base/tensor.hpp"

namespace handgrad {

/// The array of a NumPy .npy file (versions 1 to 3), in C or Fortran order, of floats, integers or booleans of either
/// byte order, converted to T. Format: NumPy's NEP 1. For archives (.npz) see io/npz.hpp. Throws IoError if the file
/// cannot be read, and ParseError, naming the file and offset, for anything but such an array of rank 0 to 4 (a
/// structured type, Python objects, text), for a file too short or too long, or for more elements than memory holds.
template <class T = float>
Tensor<T> read_npy(const std::string& path);

/// Writes a tensor from any device as np.load reads it: version 1.0, '<f4' or '<f8', C order. The file appears whole or
/// not at all. Throws IoError.
template <class T>
void write_npy(const std::string& path, const Tensor<T>& tensor);

namespace detail {
/// The array in these bytes of a .npy file; `place` begins error messages.
template <class T>
Tensor<T> parse_npy(const std::string& place, std::string_view bytes);
}  // namespace detail

}  // namespace handgrad
