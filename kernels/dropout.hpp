#pragma once
// Dropout.
#include "kernels/formulas/random.hpp"
#include "kernels/view.hpp"

namespace handgrad::kernels {

template <class T>
class Dropout {
 public:
  virtual ~Dropout() = default;

  /// y = m∘x/(1−p) with the mask m of *step, which is first increased by 1 if `advance`. The backward is the same with
  /// dy for x, without `advance`. y may be x.
  virtual void apply(const formulas::Dropout& rule, bool advance, double* step, Vector<const T> x, Vector<T> y) = 0;
};

/// On device D: cpu/dropout.cpp, cuda/dropout.cu.
template <class D, class T>
class DropoutOn final : public Dropout<T> {
 public:
  explicit DropoutOn(D& device) : device_(device) {}
  void apply(const formulas::Dropout& rule, bool advance, double* step, Vector<const T> x, Vector<T> y) override;

 private:
  [[maybe_unused]] D& device_;
};

}  // namespace handgrad::kernels
