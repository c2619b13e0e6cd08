#pragma once

#include <cstddef>
#include <initializer_list>
#include <string>
#include <vector>

#include "handgrad/base/errors.hpp"
#include "handgrad/base/tensor.hpp"

namespace handgrad {

/// A metric's argument: one number per example, from a tensor of shape (N) or (N, 1) on any device, a vector or a list.
class Values {
 public:
  /// Throws ShapeError if the tensor holds more than one number per example.
  Values(const Tensor<float>& values);
  Values(const Tensor<double>& values);
  template <class T>
  Values(const std::vector<T>& values) : values_(values.begin(), values.end()) {}
  Values(std::initializer_list<double> values) : values_(values) {}

  std::size_t size() const { return values_.size(); }
  double operator[](std::size_t i) const { return values_[i]; }
  auto begin() const { return values_.begin(); }
  auto end() const { return values_.end(); }

  /// The values as class labels. Throws ValueError if one is not an integer.
  std::vector<long> labels(const char* metric, const char* name) const;

 private:
  std::vector<double> values_;
};

/// Checks a metric's two arguments: equally many values (else ShapeError), at least one, all finite (else ValueError).
void check_metric_arguments(const char* metric, const Values& y_true, const Values& y_pred);

}  // namespace handgrad
