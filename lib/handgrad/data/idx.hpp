#pragma once

#include <string>

#include "handgrad/base/tensor.hpp"

namespace handgrad {

/// The array of an IDX file, the format of the MNIST digits (http://yann.lecun.com/exdb/mnist/), plain or gzipped:
/// images as a tensor (N, 28, 28) of 0 … 255, labels as (N). Big-endian bytes, integers and floats are converted to T.
/// Throws IoError when the file cannot be read and ParseError, with the file's name and the offset, when it is no IDX
/// file of rank 1 to 4, is damaged, or holds one byte too few or too many; memory is taken as data arrives, not as the
/// header promises.
template <class T = float>
Tensor<T> read_idx(const std::string& path);

}  // namespace handgrad
