#pragma once
#include <string>
#include <vector>

#include "handgrad/base/errors.hpp"
#include "handgrad/base/tensor.hpp"
#include "handgrad/contract/inspection.hpp"

namespace handgrad {

/// How a loss reduces the losses of its elements or rows: keep them all, average, or add. Only here is anything divided
/// by the size of the batch.
enum class Reduction { None, Mean, Sum };

/// L(p, t) of a prediction p and a target t, and δ = ∂L/∂p, derived by hand. As in Layer, the public functions are
/// implemented once, here, with all checks; a loss overrides two functions of pure mathematics. What the gradient check
/// and the recorder need besides is in contract/inspection.hpp.
template <class T>
class Loss : public LossInspection<T> {
 public:
  using value_type = T;
  explicit Loss(Reduction reduction = Reduction::Mean) : reduction_(reduction) {}

  /// The loss: of shape () for Mean and Sum, one value per element (or per row, see the loss) for None. `value.item()`
  /// returns the number. Prediction and target are kept for the backward and must not be changed before it. Throws
  /// ShapeError if their shapes do not fit together (nothing is broadcast), DeviceError if they are on two devices,
  /// ValueError for an impossible target (a class that does not exist).
  const Tensor<T>& forward(const Tensor<T>& prediction, const Tensor<T>& target) &;
  /// The same for a temporary, `MSELoss().forward(p, t)`: a handle that outlives the loss.
  Tensor<T> forward(const Tensor<T>& prediction, const Tensor<T>& target) && { return forward(prediction, target); }
  /// δ = ∂L/∂p, of the prediction's shape. With Reduction::None, `upstream` is the gradient with respect to the losses,
  /// of their shape: δ = upstream ∘ ∂ℓ/∂p. Throws StateError before any forward, or if `upstream` is missing.
  const Tensor<T>& backward();
  const Tensor<T>& backward(const Tensor<T>& upstream);

  Reduction reduction() const { return reduction_; }
  /// The divisor of the last forward's Mean: by default the number of losses, one per element or row. The losses of
  /// several ranks are weighted by it (distributed/data_parallel.hpp).
  virtual double averaged_over() const { return static_cast<double>(losses_shape_.numel()); }
  virtual std::string name() const;

 protected:
  /// The shape of the losses before reduction; throws ShapeError if the two do not fit together. By default both shapes
  /// must be equal, and the result is the same.
  virtual Shape losses_shape(const Shape& prediction, const Shape& target) const;
  /// The loss's mathematics: `value` has shape () or, for Reduction::None, `losses_shape`. `backward_into` writes δ of
  /// the reduced loss (for None: of the sum of the losses; `backward` multiplies by upstream).
  virtual void forward_into(const Tensor<T>& p, const Tensor<T>& t, Tensor<T>& value) = 0;
  virtual void backward_into(const Tensor<T>& p, const Tensor<T>& t, Tensor<T>& dp) = 0;

  /// The target of the last forward, for `derivation`.
  const Tensor<T>& target() const { return t_; }

 private:
  friend class LossInspection<T>;
  const Tensor<T>& backward_checked(const Tensor<T>* upstream);

  Reduction reduction_;
  Tensor<T> p_, t_, value_, dp_;
  Shape losses_shape_;
};

}  // namespace handgrad
