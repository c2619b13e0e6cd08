#pragma once
// How a counter, a whole number that may outgrow T, stands in a state_dict and in a file.
#include <string>

#include "handgrad/base/tensor.hpp"

namespace handgrad::detail {

/// BatchNorm's is the only one that PyTorch has: int64 there, and in files.
inline bool is_counter(const std::string& name) { return name.ends_with("num_batches_tracked"); }

/// One number, (); or, where T does not hold it, two whose sum it is, (2,).
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
