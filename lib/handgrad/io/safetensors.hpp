#pragma once
#include <map>
#include <string>
#include <vector>

#include "handgrad/contract/parameter.hpp"

namespace handgrad {

/// Tensors and text, by name.
template <class T>
struct Safetensors {
  std::vector<NamedTensor<T>> tensors;
  std::map<std::string, std::string> metadata = {};
  /// The sizes of tensors with more than 4 dimensions; in `tensors` these are vectors.
  std::map<std::string, std::vector<std::size_t>> shapes = {};
};

/// Reads a safetensors file (https://github.com/huggingface/safetensors): a header in JSON, then the elements. Tensors
/// come in the order of their elements. Types F64, F32, F16, BF16, signed and unsigned integers and BOOL are converted
/// to T; an integer that T cannot hold exactly is rounded, except BatchNorm's counter, which comes in two parts
/// (Layer::state_dict).
///
///     net.load_state_dict(read_safetensors<float>("net.safetensors").tensors);
///
/// Throws IoError if the file cannot be read, and ParseError, naming file and tensor, for anything the format forbids:
/// a header longer than the file, bad JSON, ranges that overlap, leave gaps, exceed the file or do not fit the shape, a
/// repeated name, or another type.
template <class T = float>
Safetensors<T> read_safetensors(const std::string& path);
/// Reads one tensor, whatever types the others have. Also throws ValueError if there is none of this name, listing the
/// names, and ParseError if it has more than 4 dimensions.
template <class T = float>
Tensor<T> read_safetensors(const std::string& path, const std::string& name);

/// Writes tensors from any device as F32 or F64 (BatchNorm's counter as I64), whole or not at all (see write_file).
/// PyTorch reads the file with safetensors.torch.load_file, and a network of the same layers takes it with
/// load_state_dict. Throws ValueError for a repeated name, IoError.
template <class T>
void write_safetensors(const std::string& path, const std::vector<NamedTensor<T>>& tensors,
                       const std::map<std::string, std::string>& metadata = {});

}  // namespace handgrad
