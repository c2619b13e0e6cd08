#pragma once
// Softmax along a dimension, and its logarithm.
#include "kernels/view.hpp"

namespace handgrad::kernels {

/// Each line on its own, with m = max z.
template <class T>
class Softmax {
 public:
  virtual ~Softmax() = default;

  /// yⱼ = e^(zⱼ−m) / Σₖ e^(zₖ−m)
  virtual void forward(Lines<const T> z, Lines<T> y) = 0;
  /// dzᵢ = yᵢ(δᵢ − Σⱼ δⱼyⱼ)
  virtual void backward(Lines<const T> y, Lines<const T> dy, Lines<T> dz) = 0;
  /// yⱼ = (zⱼ−m) − log Σₖ e^(zₖ−m)
  virtual void log_forward(Lines<const T> z, Lines<T> y) = 0;
  /// dzᵢ = δᵢ − e^(yᵢ)·Σⱼ δⱼ
  virtual void log_backward(Lines<const T> y, Lines<const T> dy, Lines<T> dz) = 0;
};

/// On device D: cpu/softmax.cpp, cuda/softmax.cu.
template <class D, class T>
class SoftmaxOn final : public Softmax<T> {
 public:
  explicit SoftmaxOn(D& device) : device_(device) {}
  void forward(Lines<const T> z, Lines<T> y) override;
  void backward(Lines<const T> y, Lines<const T> dy, Lines<T> dz) override;
  void log_forward(Lines<const T> z, Lines<T> y) override;
  void log_backward(Lines<const T> y, Lines<const T> dy, Lines<T> dz) override;

 private:
  [[maybe_unused]] D& device_;
};

}  // namespace handgrad::kernels
