#include "handgrad/metrics/values.hpp"

#include <cmath>

#include "handgrad/base/format.hpp"

namespace handgrad {
namespace {

template <class T>
std::vector<double> one_per_example(const Tensor<T>& values) {
  const Shape& shape = values.shape();
  const bool fits = shape.rank() == 1 || (shape.rank() == 2 && shape[1] == 1);
  if (!fits) {
    throw ShapeError("metrics take one value per example, shape (N,) or (N, 1); got " + shape.str() +
                     (shape.rank() == 2 ? "; for class scores take the largest one's column first" : ""));
  }
  const std::vector<T> elements = values.to_vector();
  return {elements.begin(), elements.end()};
}

}  // namespace

Values::Values(const Tensor<float>& values) : values_(one_per_example(values)) {}
Values::Values(const Tensor<double>& values) : values_(one_per_example(values)) {}

std::vector<long> Values::labels(const char* metric, const char* name) const {
  std::vector<long> labels;
  labels.reserve(size());
  for (double value : values_) {
    if (value != std::floor(value) || std::abs(value) > 1e15) {
      throw ValueError(std::string(metric) + ": class labels are whole numbers, " + name + "[" +
                       std::to_string(labels.size()) + "] is " + std::to_string(value) +
                       "; compare scores with a threshold first");
    }
    labels.push_back(static_cast<long>(value));
  }
  return labels;
}

void check_metric_arguments(const char* metric, const Values& y_true, const Values& y_pred) {
  if (y_true.size() != y_pred.size()) {
    throw ShapeError(std::string(metric) + ": y_true has " + std::to_string(y_true.size()) +
                     " examples, the predictions " + std::to_string(y_pred.size()));
  }
  if (y_true.size() == 0) throw ValueError(std::string(metric) + ": no examples");
  for (std::size_t i = 0; i < y_true.size(); ++i) {
    for (const auto& [name, values] : {std::pair{"y_true", &y_true}, {"the prediction", &y_pred}}) {
      if (!std::isfinite((*values)[i])) {
        throw ValueError(std::string(metric) + ": " + name + "[" + std::to_string(i) + "] is " +
                         format_number((*values)[i]));
      }
    }
  }
}

}  // namespace handgrad
