#pragma once
// What the gradient check and the recorder need of layers and losses. Layer and Loss derive from these.
#include <string>
#include <vector>

#include "handgrad/base/shape.hpp"

namespace handgrad {

template <class T>
class Tensor;

namespace trace {
struct Derivation;
}

/// An input or output of a layer besides x and y, such as the states of a recurrent layer. `gradient` is, for an input,
/// its ∂L/∂(input) after a backward; for an output, the ∂L/∂(output) that backwards take, 0 if undefined.
template <class T>
struct SideTensor {
  std::string name;
  Tensor<T> value;  // a handle to what the layer reads, or wrote in its last forward
  Tensor<T>* gradient;
};

/// What the gradient check and the recorder ask of a layer, beside its mathematics.
template <class T>
class LayerInspection {
 public:
  virtual ~LayerInspection() = default;

  /// While on, layers that draw random numbers repeat their last draw, here and below.
  void repeat_random(bool on);
  bool repeats_random() const { return repeat_random_; }
  /// Appends, for every place where the function has a kink (max(z, 0) at z = 0), the side on which the last forward
  /// ran, here and below. Differences across a kink say nothing about a derivative.
  void append_kink_sides(std::vector<bool>& sides) const;
  /// Fills the output and gradient buffers, here and below; NaN reveals elements that are never written.
  void fill_buffers(T content);
  /// The assignments of the layer's derivation, in its own symbols, for the recorder (trace/derivation.hpp). By default
  /// none: the step is recorded as y = f(x).
  virtual trace::Derivation derivation(const Shape& input) const;
  /// None by default.
  virtual std::vector<SideTensor<T>> side_inputs();
  virtual std::vector<SideTensor<T>> side_outputs();

 protected:
  /// The sides of this layer's own kinks, for `append_kink_sides`; x is the last forward's input.
  virtual void kink_sides(const Tensor<T>& x, std::vector<bool>& sides) const { (void)x, (void)sides; }

 private:
  bool repeat_random_ = false;
};

/// The same for a loss L(p, t).
template <class T>
class LossInspection {
 public:
  virtual ~LossInspection() = default;

  /// As LayerInspection's.
  void append_kink_sides(std::vector<bool>& sides) const;
  void fill_buffers(T content);
  virtual trace::Derivation derivation(const Shape& prediction, const Shape& target) const;

 protected:
  /// The side of each kink (|p − t| at p = t) on which the loss ran.
  virtual void kink_sides(const Tensor<T>& p, const Tensor<T>& t, std::vector<bool>& sides) const {
    (void)p, (void)t, (void)sides;
  }
};

}  // namespace handgrad
