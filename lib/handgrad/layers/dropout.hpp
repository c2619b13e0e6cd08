#pragma once
#include <cstdint>

#include "handgrad/contract/layer.hpp"

namespace handgrad {

namespace formulas {
struct Dropout;
}

/// Inverted dropout (Srivastava et al. 2014), as torch.nn.Dropout: in training y = m∘x/(1−p), where each mᵢ is 0 with
/// probability p and else 1, drawn anew in each forward; in evaluation y = x. For tensors of any shape.
///
/// Derivation: yᵢ = mᵢ·xᵢ/(1−p), so ∂yᵢ/∂xᵢ = mᵢ/(1−p) and dx = m∘δ/(1−p), with the mask of the forward.
/// E[m] = 1−p, hence E[y] = x: thanks to the division, evaluation needs no scaling.
///
/// The mask is not stored, but a function of (seed, stream, step, element), the same on CPU and GPU. The seed is the
/// default generator's at construction, the stream numbers the dropout layers made since it was seeded (without drawing
/// from the generator), and the step counts the forwards in training. PyTorch's masks are different. With
/// `repeat_random(true)` forwards repeat the last step's mask.
template <class T = float>
class Dropout : public Layer<T> {
 public:
  /// Throws ValueError unless 0 ≤ p ≤ 1.
  explicit Dropout(double p = 0.5);
  double p() const { return p_; }

  /// What determines the next mask; to be stored in a checkpoint.
  struct State {
    std::uint64_t seed = 0;
    std::uint32_t stream = 0;
    std::uint64_t step = 0;
    bool operator==(const State&) const = default;
  };
  /// Where its random numbers stand, for a run that is to go on bit for bit.
  State state() const;
  void set_state(const State& state);

  /// For layers with dropout inside a kernel: moves on to the next mask, unless the last is to be repeated. `rule` and
  /// `step`, which is on `device`, then determine the mask.
  void draw(Device device);
  formulas::Dropout rule() const;
  const double* step() const { return step_.data(); }

  std::string extra_repr() const override;
  trace::Derivation derivation(const Shape& input) const override;

 protected:
  void forward_into(const Tensor<T>& x, Tensor<T>& y) override;
  void backward_into(const Tensor<T>& x, const Tensor<T>& y, const Tensor<T>& dy, Tensor<T>& dx) override;

  /// y = m∘x/(1−p) with the current step's mask or, with `advance`, the next one's.
  void mask(bool advance, const Tensor<T>& x, Tensor<T>& y);

  double p_;
  bool masked_ = false;  // whether the last forward applied a mask

 private:
  std::uint64_t seed_;
  std::uint32_t stream_;
  Tensor<double> step_;  // (), on the data's device, where captured training steps count it
};

/// Dropout of whole channels, as torch.nn.Dropout2d: x (N, C, H, W) or (N, C, L); each channel of each example is 0
/// with probability p, and else divided by 1−p. Neighbouring places of a channel are strongly correlated, so that what
/// Dropout removes from one can be read from the next (Tompson et al. 2015). As Dropout, with one mᵢ per channel:
///     y = m_c·x/(1−p),   dx = m_c·δ/(1−p)
template <class T = float>
class Dropout2d : public Dropout<T> {
 public:
  explicit Dropout2d(double p = 0.5) : Dropout<T>(p) {}
  /// Throws ShapeError for any other input than (N, C, H, W) or (N, C, L).
  Shape output_shape(const Shape& input) const override;
  trace::Derivation derivation(const Shape& input) const override;

 protected:
  void forward_into(const Tensor<T>& x, Tensor<T>& y) override;
  void backward_into(const Tensor<T>& x, const Tensor<T>& y, const Tensor<T>& dy, Tensor<T>& dx) override;

 private:
  Tensor<T> factors_;  // m/(1−p) of each channel (N·C)
};

Dropout()->Dropout<float>;
Dropout(double)->Dropout<float>;
Dropout2d()->Dropout2d<float>;
Dropout2d(double)->Dropout2d<float>;

}  // namespace handgrad
