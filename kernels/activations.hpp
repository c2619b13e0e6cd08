#pragma once
// Activations, y = f(z).
#include "kernels/formulas/activations.hpp"
#include "kernels/view.hpp"

namespace handgrad::kernels {

template <class T>
class Activations {
 public:
  virtual ~Activations() = default;

  /// y = f(z)
  virtual void forward(const formulas::Activation& f, Vector<const T> z, Vector<T> y) = 0;
  /// dz = dy∘f′(z). dz may be dy.
  virtual void backward(const formulas::Activation& f, Vector<const T> z, Vector<const T> y, Vector<const T> dy,
                        Vector<T> dz) = 0;

  /// y = z for z > 0, else a_c·z. z is seen along its channels, each with its own slope a_c.
  virtual void prelu_forward(Lines<const T> z, Vector<const T> a, Vector<T> y) = 0;
  /// dz = dy for z > 0, else a_c·dy;  da_c = Σ dy·min(z, 0) over all elements of channel c. dz may be dy or null; da
  /// may be null.
  virtual void prelu_backward(Lines<const T> z, Vector<const T> a, Vector<const T> dy, Vector<T> dz,
                              Gradient<T> da) = 0;
};

/// On device D: cpu/activations.cpp, cuda/activations.cu.
template <class D, class T>
class ActivationsOn final : public Activations<T> {
 public:
  explicit ActivationsOn(D& device) : device_(device) {}
  void forward(const formulas::Activation& f, Vector<const T> z, Vector<T> y) override;
  void backward(const formulas::Activation& f, Vector<const T> z, Vector<const T> y, Vector<const T> dy,
                Vector<T> dz) override;
  void prelu_forward(Lines<const T> z, Vector<const T> a, Vector<T> y) override;
  void prelu_backward(Lines<const T> z, Vector<const T> a, Vector<const T> dy, Vector<T> dz, Gradient<T> da) override;

 private:
  [[maybe_unused]] D& device_;
};

}  // namespace handgrad::kernels
