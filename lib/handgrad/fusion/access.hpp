#pragma once
#include <typeinfo>

#include "handgrad/contract/layer.hpp"

namespace handgrad::fusion {

/// What containers and patterns may use of a layer beyond its public interface: what it keeps of the last forward and
/// backward, and the checks before them. Code that runs a layer's mathematics in its place must leave x and y as the
/// layer itself would, so that the layer's own backward can continue from there.
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

  /// Before a forward: checks and keeps the input, sizes y. Throws as `Layer::forward` does.
  void accept(const Tensor<T>& input) { layer_.accept(input); }
  /// Before a backward: checks dy against the output. Throws as `Layer::backward` does.
  void accept_gradient(const Tensor<T>& dy) const { layer_.accept_gradient(layer_.y_, dy); }
  void accept_gradient(const Tensor<T>& output, const Tensor<T>& dy) const { layer_.accept_gradient(output, dy); }
  /// Releases the input, here and below, so that the previous layer can overwrite it; and so that a backward after a
  /// failed forward finds no input rather than an old one.
  void release_input() {
    x = Tensor<T>();
    for (const auto& [name, child] : layer_.children()) Access(*child).release_input();
  }
  /// Returned by a backward whose dx was not asked for.
  static const Tensor<T>& not_wanted() { return Layer<T>::not_wanted(); }

 private:
  Layer<T>& layer_;
};

/// The layer as an L, or null. By exact type, since a class derived from L may compute something else.
template <class L, class T>
L* exactly(Layer<T>& layer) {
  return typeid(layer) == typeid(L) ? static_cast<L*>(&layer) : nullptr;
}

}  // namespace handgrad::fusion
