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
/// E[m] = 1−p, hence E[y] = x: the division here is what leaves evaluation alone.
///
/// The mask is no stored tensor but a function of (seed, stream, step, element): the same on the CPU and the GPU. The
/// seed is that of the default generator at construction, the stream counts the dropout layers made since it was seeded
/// (no number of the generator is used up), and the step counts the forwards in training. PyTorch's masks are others.
/// With `repeat_random(true)` forwards repeat the last step's mask.
template <class T = float>
class Dropout : public Layer<T> {
 public:
  /// Throws ValueError unless 0 ≤ p ≤ 1.
  explicit Dropout(double p = 0.5);
  double p() const { return p_; }

  /// What the next mask follows from; to be stored in a checkpoint.
  struct State {
    std::uint64_t seed = 0;
    std::uint32_t stream = 0;
    std::uint64_t step = 0;
    bool operator==(const State&) const = default;
  };
  /// Where its random numbers stand, for a run that is to go on bit for bit.
  State state() const;
  void set_state(const State& state);

  /// For layers that drop out within a kernel of theirs: moves on to the next mask, unless the last is to be repeated;
  /// then the rule and the step that it follows from, on that device.
  void draw(Device device);
  formulas::Dropout rule() const;
  const double* step() const { return step_.data(); }

  std::string extra_repr() const override;
  trace::Derivation derivation(const Shape& input) const override;

 protected:
  void forward_into(const Tensor<T>& x, Tensor<T>& y) override;
  void backward_into(const Tensor<T>& x, const Tensor<T>& y, const Tensor<T>& dy, Tensor<T>& dx) override;

  /// y = m∘x/(1−p) with the mask of the step that is, or with `advance` of the next.
  void mask(bool advance, const Tensor<T>& x, Tensor<T>& y);

  double p_;
  bool masked_ = false;  // in the last forward

 private:
  std::uint64_t seed_;
  std::uint32_t stream_;
  Tensor<double> step_;  // (), where the data is: a training step captured on a GPU counts it there
};

/// Dropout of whole channels, as torch.nn.Dropout2d: x (N, C, H, W), or (N, C, L); of each example each channel is 0
/// with probability p, and else over 1−p. Neighbouring places of a channel are much alike, so that what Dropout takes
/// away in one of them the next still tells (Tompson et al. 2015). Everything else is as in Dropout, with one mᵢ for a
/// channel:
///     y = m_c·x/(1−p),   dx = m_c·δ/(1−p)
template <class T = float>
class Dropout2d : public Dropout<T> {
 public:
  explicit Dropout2d(double p = 0.5) : Dropout<T>(p) {}
  /// Throws ShapeError for an input that is not (N, C, H, W) or (N, C, L).
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
