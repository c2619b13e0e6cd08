#pragma once
#include <string>
#include <vector>

#include "handgrad/base/tensor.hpp"

namespace handgrad {

/// Tensors side by side along a dimension, as torch.cat: all other sizes must be equal. Negative dimensions count from
/// the end. Throws ShapeError naming the tensor that does not fit, DeviceError when they lie on two devices.
template <class T>
Tensor<T> cat(const std::vector<Tensor<T>>& tensors, int dim = 0);

/// The parts of these sizes along a dimension, one after the other, as torch.split. Throws ShapeError unless the sizes
/// add up to the dimension's.
///
///     const auto parts = split(y, {1, 3}, 1);     // columns 0, and 1 to 3
template <class T>
std::vector<Tensor<T>> split(const Tensor<T>& x, const std::vector<std::size_t>& sizes, int dim = 0);

namespace detail {

/// The shape of parts side by side; throws ShapeError. `what` is what the message calls a part.
Shape joined_shape(const std::vector<Shape>& parts, int dim, const std::string& what);
/// The dimension from 0 of one that may count from the end; throws ShapeError when there is none.
int dimension(const Shape& shape, int dim);

/// Copies between a whole and its parts along one dimension, for tensors of the same shapes again and again. On the CPU
/// rows of elements are copied; another device gathers rows by numbers, which are made once for a shape.
template <class T>
class Blocks {
 public:
  /// whole = the parts side by side.
  void join(const std::vector<Tensor<T>>& parts, int dim, Tensor<T>& whole);
  /// part = what stands in the whole behind `first` along the dimension.
  void take(const Tensor<T>& whole, int dim, std::size_t first, Tensor<T>& part);

 private:
  /// For another device: row i of the result is row rows[i], of `width` elements.
  struct Gather {
    std::vector<std::size_t> of;  // what it was made for
    std::size_t width = 0;
    Tensor<double> rows;
  };
  std::vector<Gather> gathers_;
  Tensor<T> stack_;
};

/// y = y + x
template <class T>
void add_to(Tensor<T>& y, const Tensor<T>& x);

}  // namespace detail
}  // namespace handgrad
