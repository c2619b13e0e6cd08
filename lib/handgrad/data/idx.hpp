#pragma once

#include <string>

#include "handgrad/base/tensor.hpp"

namespace handgrad {

/// The array of an IDX file, the format of the MNIST digits (http://yann.lecun.com/exdb/mnist/), plain or gzipped:
/// images as a tensor (N, 28, 28) of 0 … 255, labels as (N). Big-endian bytes, integers and floats are converted to T.
/// Throws IoError if the file cannot be read, and ParseError, naming the file and offset, if it is not an IDX file of
/// rank 1 to 4, is damaged, or is too short or too long. Memory grows as data arrives, whatever the header promises.
template <class T = float>
Tensor<T> read_idx(const std::string& path);

}  // namespace handgrad
