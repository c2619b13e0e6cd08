#pragma once
#include <map>
#include <string>
#include <vector>

#include "handgrad/contract/parameter.hpp"

namespace handgrad {

/// Tensors by name and, beside them, text by name.
template <class T>
struct Safetensors {
  std::vector<NamedTensor<T>> tensors;
  std::map<std::string, std::string> metadata = {};
  /// The sizes of those tensors that have more than 4 dimensions: in `tensors`, their elements stand in one row.
  std::map<std::string, std::vector<std::size_t>> shapes = {};
};

/// Reads a safetensors file (https://github.com/huggingface/safetensors): a header in JSON, then the elements. Tensors
/// come in the order in which their elements lie. Types F64, F32, F16, BF16, signed and unsigned integers and BOOL are
/// converted to T; a whole number beyond what T can hold exactly is rounded, BatchNorm's counter aside, which comes in
/// two (Layer::state_dict).
///
///     net.load_state_dict(read_safetensors<float>("net.safetensors").tensors);
///
/// Throws IoError when the file cannot be read, and ParseError, naming file and tensor, for everything that the format
/// does not allow: a header longer than the file, bad JSON, ranges that overlap, leave gaps, lie beyond the end or do
/// not fit the shape, a name that is there twice, and another type.
template <class T = float>
Safetensors<T> read_safetensors(const std::string& path);
/// One tensor of such a file, whatever types the others have. Throws also ValueError when no tensor has this name,
/// listing those there are, and ParseError when it has more than 4 dimensions.
template <class T = float>
Tensor<T> read_safetensors(const std::string& path, const std::string& name);

/// Writes tensors, from whatever device, as F32 or F64 (BatchNorm's counter as I64), whole or not at all (see
/// write_file). PyTorch reads the file with safetensors.torch.load_file, and a network of the same layers takes it with
/// load_state_dict. Throws ValueError for a name that is there twice, IoError.
template <class T>
void write_safetensors(const std::string& path, const std::vector<NamedTensor<T>>& tensors,
                       const std::map<std::string, std::string>& metadata = {});

}  // namespace handgrad
