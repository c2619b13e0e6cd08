#pragma once
// How a counter, a whole number that may exceed T's precision, is represented in a state_dict and in files.
#include <string>

#include "handgrad/base/tensor.hpp"

namespace handgrad::detail {

/// BatchNorm's is the only one in PyTorch, where it is int64, in files too.
inline bool is_counter(const std::string& name) { return name.ends_with("num_batches_tracked"); }

/// One number, (); or, if T cannot represent it, two that add up to it, (2,).
template <class T>
Tensor<T> count_tensor(double count) {
  const T head = static_cast<T>(count);
  const double rest = count - static_cast<double>(head);
  return rest == 0 ? Tensor<T>({}, {head}) : Tensor<T>{head, static_cast<T>(rest)};
}

template <class T>
bool is_count(const Tensor<T>& tensor) {
  return tensor.rank() <= 1 && (tensor.numel() == 1 || tensor.numel() == 2);
}

template <class T>
double count_of(const Tensor<T>& tensor) {
  double count = 0;
  for (const T part : tensor.to_vector()) count += static_cast<double>(part);
  return count;
}

}  // namespace handgrad::detail
