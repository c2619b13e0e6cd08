#pragma once
// Products of matrices.
#include "kernels/view.hpp"

namespace handgrad::kernels {

template <class T>
class Products {
 public:
  virtual ~Products() = default;

  /// C = op(A)·op(B) + β·C, op(A) (m×k), op(B) (k×n), C (m×n), where op transposes or does nothing; with β = 0, C is
  /// not read.
  virtual void matmul(Matrix<const T> a, bool transpose_a, Matrix<const T> b, bool transpose_b, T beta,
                      Matrix<T> c) = 0;
};

/// On device D: cpu/products.cpp, cuda/products.cu.
template <class D, class T>
class ProductsOn final : public Products<T> {
 public:
  explicit ProductsOn(D& device) : device_(device) {}
  void matmul(Matrix<const T> a, bool transpose_a, Matrix<const T> b, bool transpose_b, T beta, Matrix<T> c) override;

 private:
  [[maybe_unused]] D& device_;
};

}  // namespace handgrad::kernels
