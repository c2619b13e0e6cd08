#pragma once
#include "handgrad/contract/layer.hpp"

namespace handgrad {

/// Dimensions start to end become one: (N, C, H, W) → (N, C·H·W). The elements stay where they are, and so the backward
/// puts δ into the shape of x: dx = δ. As torch.nn.Flatten; negative dimensions count from the end.
template <class T = float>
class Flatten : public Layer<T> {
 public:
  explicit Flatten(int start_dim = 1, int end_dim = -1) : start_(start_dim), end_(end_dim) {}
  int start_dim() const { return start_; }
  int end_dim() const { return end_; }
  /// Throws ShapeError when the input lacks the dimensions, or they come in the wrong order.
  Shape output_shape(const Shape& input) const override;
  std::string extra_repr() const override;
  trace::Derivation derivation(const Shape& input) const override;

 protected:
  void forward_into(const Tensor<T>& x, Tensor<T>& y) override;
  void backward_into(const Tensor<T>& x, const Tensor<T>& y, const Tensor<T>& dy, Tensor<T>& dx) override;

 private:
  int start_, end_;
};

/// One dimension becomes several, the other way round: Unflatten(1, {3, 4}) makes (N, 12) to (N, 3, 4). As
/// torch.nn.Unflatten.
template <class T = float>
class Unflatten : public Layer<T> {
 public:
  /// Throws ValueError when there are no sizes.
  Unflatten(int dim, Shape unflattened_size);
  int dim() const { return dim_; }
  const Shape& unflattened_size() const { return sizes_; }
  /// Throws ShapeError unless the sizes' product is the dimension's size and at most 4 dimensions come of it.
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
