#pragma once
// Pooling: the maximum or the mean of each window of a plane (formulas/windows.hpp).
#include "kernels/formulas/windows.hpp"
#include "kernels/view.hpp"

namespace handgrad::kernels {

/// x (planes×H×W), y (planes×H′×W′).
struct PoolingShape {
  std::size_t planes;
  formulas::Axis rows, columns;

  constexpr std::size_t in_plane() const { return rows.in * columns.in; }
  constexpr std::size_t out_plane() const { return rows.out * columns.out; }
};

template <class T>
class Pooling {
 public:
  virtual ~Pooling() = default;

  /// y[i,j] = max over u, v of x[h,w], and at[i,j] = u·kw + v, its place: the first of equal ones; NaN is larger than
  /// any number. Padding is skipped; a window of padding alone gives −∞.
  virtual void max_forward(const PoolingShape& shape, const T* x, T* y, T* at) = 0;
  /// dx[h,w] = Σ dy[i,j] over the windows that have their maximum there.
  virtual void max_backward(const PoolingShape& shape, const T* dy, const T* at, T* dx) = 0;
  /// y[i,j] = Σ x[h,w] over the window / divisor; 0 for an empty window.
  virtual void average_forward(const PoolingShape& shape, const formulas::Averaging& how, const T* x, T* y) = 0;
  /// dx[h,w] = Σ dy[i,j] / divisor over the windows that contain it.
  virtual void average_backward(const PoolingShape& shape, const formulas::Averaging& how, const T* dy, T* dx) = 0;
};

/// On device D: cpu/pooling.cpp, cuda/pooling.cu.
template <class D, class T>
class PoolingOn final : public Pooling<T> {
 public:
  explicit PoolingOn(D& device) : device_(device) {}
  void max_forward(const PoolingShape& shape, const T* x, T* y, T* at) override;
  void max_backward(const PoolingShape& shape, const T* dy, const T* at, T* dx) override;
  void average_forward(const PoolingShape& shape, const formulas::Averaging& how, const T* x, T* y) override;
  void average_backward(const PoolingShape& shape, const formulas::Averaging& how, const T* dy, T* dx) override;

 private:
  [[maybe_unused]] D& device_;
};

}  // namespace handgrad::kernels
