#pragma once
#include <string>
#include <vector>

#include "handgrad/base/tensor.hpp"

namespace handgrad {

/// Tensors side by side along a dimension, as torch.cat: all other sizes must be equal. Negative dimensions count from
/// the end. Throws ShapeError naming the tensor that does not fit, DeviceError if they are on two devices.
template <class T>
Tensor<T> cat(const std::vector<Tensor<T>>& tensors, int dim = 0);

/// Parts of these sizes along a dimension, as torch.split. Throws ShapeError unless they add up to its size.
///
///     const auto parts = split(y, {1, 3}, 1);     // columns 0, and 1 to 3
template <class T>
std::vector<Tensor<T>> split(const Tensor<T>& x, const std::vector<std::size_t>& sizes, int dim = 0);

namespace detail {

/// The shape of parts side by side; throws ShapeError, in which `what` names a part.
Shape joined_shape(const std::vector<Shape>& parts, int dim, const std::string& what);
/// `dim` counted from the front, where a negative one counts from the end; throws ShapeError if there is none.
int dimension(const Shape& shape, int dim);

/// Copies between a whole and its parts along one dimension, repeatedly for the same shapes. The CPU copies rows of
/// elements; other devices gather rows by indices, which are made once per shape.
template <class T>
class Blocks {
 public:
  /// whole = the parts side by side.
  void join(const std::vector<Tensor<T>>& parts, int dim, Tensor<T>& whole);
  /// part = the whole from `first` on along the dimension.
  void take(const Tensor<T>& whole, int dim, std::size_t first, Tensor<T>& part);

 private:
  /// For other devices: row i of the result is row rows[i], of `width` elements.
  struct Gather {
    std::vector<std::size_t> of;  // the shapes that it was made for
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
