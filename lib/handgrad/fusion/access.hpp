#pragma once
#include <typeinfo>

#include "handgrad/contract/layer.hpp"

namespace handgrad::fusion {

/// All that a container and a pattern may use of a layer beyond its public face: what it keeps of the last forward and
/// backward, and the checks that come before them. Whoever runs a layer's mathematics in its place leaves x and y as
/// the layer itself would have: the layer's own backward then goes on from there.
template <class T>
struct Access {
  explicit Access(Layer<T>& layer)
      : x(layer.x_),
        y(layer.y_),
        dx(layer.dx_),
        note(layer.note_),
        wants_dx(layer.requires_input_grad()),
        layer_(layer) {}

  Tensor<T>&x, &y, &dx;
  Note<T>& note;
  const bool wants_dx;  // whether the layer was asked for its dx

  /// Before a forward: checks the input and keeps it, sizes y. Throws what `Layer::forward` throws.
  void accept(const Tensor<T>& input) { layer_.accept(input); }
  /// Before a backward: checks dy against the output. Throws what `Layer::backward` throws.
  void accept_gradient(const Tensor<T>& dy) const { layer_.accept_gradient(layer_.y_, dy); }
  void accept_gradient(const Tensor<T>& output, const Tensor<T>& dy) const { layer_.accept_gradient(output, dy); }
  /// Lets go of the input, here and below, so that the layer before can write it anew; a backward after a forward that
  /// failed then finds nothing, rather than something old.
  void release_input() {
    x = Tensor<T>();
    for (const auto& [name, child] : layer_.children()) Access(*child).release_input();
  }
  /// What a backward returns where dx was not asked for.
  static const Tensor<T>& not_wanted() { return Layer<T>::not_wanted(); }

 private:
  Layer<T>& layer_;
};

/// The layer as an L, or null. By the exact type: a class that a user derives from L may compute something else.
template <class L, class T>
L* exactly(Layer<T>& layer) {
  return typeid(layer) == typeid(L) ? static_cast<L*>(&layer) : nullptr;
}

}  // namespace handgrad::fusion
