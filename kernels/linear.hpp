#pragma once
// Linear layers, y = x·Wᵀ + b, alone or fused with a neighbouring activation.
#include <cstddef>

#include "kernels/formulas/activations.hpp"
#include "kernels/view.hpp"

namespace handgrad::kernels {

/// x (N×in), W (out×in), b (out), y (N×out); N is the product of all dimensions but the last.
template <class T>
class Linear {
 public:
  virtual ~Linear() = default;

  /// y = f(x·Wᵀ + b); b and f may be null. `mask`, null or of `mask_size` elements, receives what f′ needs in
  /// `backward_through`, in the device's own format. Returns whether it was written.
  virtual bool forward(Matrix<const T> x, Matrix<const T> W, Vector<const T> b, const formulas::Activation* f,
                       Matrix<T> y, T* mask = nullptr) = 0;
  /// Size of the mask for y (rows×columns); 0 where y itself serves as well.
  virtual std::size_t mask_size(const formulas::Activation& f, std::size_t rows, std::size_t columns) const = 0;
  /// dx = dy·W
  virtual void backward_input(Matrix<const T> dy, Matrix<const T> W, Matrix<T> dx) = 0;
  /// dW = dyᵀ·x,  db = Σᵢ dyᵢ
  virtual void backward_parameters(Matrix<const T> x, Matrix<const T> dy, Gradient<T> dW, Gradient<T> db) = 0;
  /// Back through a Linear and the activation x = f(z) before it, to z, the output of a Linear with bias b: dz =
  /// (dy·W)∘f′(z),  db = Σᵢ dzᵢ. `mask` is what that Linear's forward wrote, or null.
  virtual void backward_through(Matrix<const T> dy, Matrix<const T> W, const formulas::Activation& f, Matrix<const T> z,
                                Matrix<const T> x, const T* mask, Matrix<T> dz, Gradient<T> db) = 0;
};

/// On device D: cpu/linear.cpp, cuda/linear.cu.
template <class D, class T>
class LinearOn final : public Linear<T> {
 public:
  explicit LinearOn(D& device) : device_(device) {}
  bool forward(Matrix<const T> x, Matrix<const T> W, Vector<const T> b, const formulas::Activation* f, Matrix<T> y,
               T* mask) override;
  std::size_t mask_size(const formulas::Activation& f, std::size_t rows, std::size_t columns) const override;
  void backward_input(Matrix<const T> dy, Matrix<const T> W, Matrix<T> dx) override;
  void backward_parameters(Matrix<const T> x, Matrix<const T> dy, Gradient<T> dW, Gradient<T> db) override;
  void backward_through(Matrix<const T> dy, Matrix<const T> W, const formulas::Activation& f, Matrix<const T> z,
                        Matrix<const T> x, const T* mask, Matrix<T> dz, Gradient<T> db) override;

 private:
  [[maybe_unused]] D& device_;
};

}  // namespace handgrad::kernels
