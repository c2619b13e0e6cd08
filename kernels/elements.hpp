#pragma once
// Elementwise operations, rows of a matrix, and sums.
#include "kernels/view.hpp"

namespace handgrad::kernels {

template <class T>
class Elements {
 public:
  virtual ~Elements() = default;

  virtual void fill(Vector<T> y, T value) = 0;
  /// y = a·y
  virtual void scale(Vector<T> y, T a) = 0;
  /// y = y + a·x
  virtual void add(Vector<T> y, T a, Vector<const T> x) = 0;
  /// y = a + b
  virtual void add(Vector<const T> a, Vector<const T> b, Vector<T> y) = 0;
  /// yᵢⱼ = yᵢⱼ·xᵢ for y (N×C), x (N)
  virtual void multiply_rows(Matrix<T> y, Vector<const T> x) = 0;
  /// Row i of y = row rows[i] of x
  virtual void gather_rows(Matrix<const T> x, Vector<const double> rows, Matrix<T> y) = 0;
  /// *value = a·Σx²
  virtual void sum_of_squares(Vector<const T> x, T a, T* value) = 0;
};

/// On device D: cpu/elements.cpp, cuda/elements.cu.
template <class D, class T>
class ElementsOn final : public Elements<T> {
 public:
  explicit ElementsOn(D& device) : device_(device) {}
  void fill(Vector<T> y, T value) override;
  void scale(Vector<T> y, T a) override;
  void add(Vector<T> y, T a, Vector<const T> x) override;
  void add(Vector<const T> a, Vector<const T> b, Vector<T> y) override;
  void multiply_rows(Matrix<T> y, Vector<const T> x) override;
  void gather_rows(Matrix<const T> x, Vector<const double> rows, Matrix<T> y) override;
  void sum_of_squares(Vector<const T> x, T a, T* value) override;

 private:
  [[maybe_unused]] D& device_;
};

}  // namespace handgrad::kernels
