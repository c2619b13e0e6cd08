#pragma once
// What the gradient check and the recorder ask of layers and losses, and users hardly ever. Layer and Loss derive from
// these.
#include <string>
#include <vector>

#include "handgrad/base/shape.hpp"

namespace handgrad {

template <class T>
class Tensor;

namespace trace {
struct Derivation;
}

/// What a layer takes and gives beside x and y, as a recurrent layer its states. Of an input `gradient` holds ∂L/∂(it)
/// after a backward; of an output, what backwards are to take for it, and undefined stands for 0.
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

  /// While on, layers that draw random numbers repeat their last draw (here and below).
  void repeat_random(bool on);
  bool repeats_random() const { return repeat_random_; }
  /// Appends, for every place where the function has a kink (max(z, 0) at z = 0), on which side of it the last forward
  /// ran, here and below. Differences across a kink say nothing about a derivative.
  void append_kink_sides(std::vector<bool>& sides) const;
  /// Fills the output and gradient buffers, here and below: with NaN, an element never written shows.
  void fill_buffers(T content);
  /// The assignments of the layer's derivation, with its own symbols, for whoever records a step
  /// (trace/derivation.hpp); nothing unless overridden: then a step is recorded as y = f(x).
  virtual trace::Derivation derivation(const Shape& input) const;
  /// None unless overridden.
  virtual std::vector<SideTensor<T>> side_inputs();
  virtual std::vector<SideTensor<T>> side_outputs();

 protected:
  /// The sides of this layer's own kinks, for `append_kink_sides`; x is the last forward's input.
  virtual void kink_sides(const Tensor<T>& x, std::vector<bool>& sides) const { (void)x, (void)sides; }

 private:
  bool repeat_random_ = false;
};

/// The same of a loss L(p, y).
template <class T>
class LossInspection {
 public:
  virtual ~LossInspection() = default;

  /// As LayerInspection's.
  void append_kink_sides(std::vector<bool>& sides) const;
  void fill_buffers(T content);
  virtual trace::Derivation derivation(const Shape& prediction, const Shape& target) const;

 protected:
  /// On which side of each of its kinks (|p − t| at p = t) the loss ran.
  virtual void kink_sides(const Tensor<T>& p, const Tensor<T>& y, std::vector<bool>& sides) const {
    (void)p, (void)y, (void)sides;
  }
};

}  // namespace handgrad
