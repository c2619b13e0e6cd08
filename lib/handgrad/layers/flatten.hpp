#pragma once
#include "handgrad/contract/layer.hpp"

namespace handgrad {

/// Merges dimensions start to end into one: (N, C, H, W) → (N, C·H·W). Elements keep their order, so that dx = δ in the
/// shape of x. As torch.nn.Flatten; negative dimensions count from the end.
template <class T = float>
class Flatten : public Layer<T> {
 public:
  explicit Flatten(int start_dim = 1, int end_dim = -1) : start_(start_dim), end_(end_dim) {}
  int start_dim() const { return start_; }
  int end_dim() const { return end_; }
  /// Throws ShapeError if the input lacks the dimensions or they are in the wrong order.
  Shape output_shape(const Shape& input) const override;
  std::string extra_repr() const override;
  trace::Derivation derivation(const Shape& input) const override;

 protected:
  void forward_into(const Tensor<T>& x, Tensor<T>& y) override;
  void backward_into(const Tensor<T>& x, const Tensor<T>& y, const Tensor<T>& dy, Tensor<T>& dx) override;

 private:
  int start_, end_;
};

/// The inverse, one dimension to several: Unflatten(1, {3, 4}) turns (N, 12) into (N, 3, 4). As torch.nn.Unflatten.
template <class T = float>
class Unflatten : public Layer<T> {
 public:
  /// Throws ValueError for no sizes.
  Unflatten(int dim, Shape unflattened_size);
  int dim() const { return dim_; }
  const Shape& unflattened_size() const { return sizes_; }
  /// Throws ShapeError unless the product of the sizes is the dimension's size and the result has at most 4 dimensions.
  Shape output_shape(const Shape& input) const override;
  std::string extra_repr() const override;
  trace::Derivation derivation(const Shape& input) const override;

 protected:
  void forward_into(const Tensor<T>& x, Tensor<T>& y) override;
  void backward_into(const Tensor<T>& x, const Tensor<T>& y, const Tensor<T>& dy, Tensor<T>& dx) override;

 private:
  int dim_;
  Shape sizes_;
};

}  // namespace handgrad
