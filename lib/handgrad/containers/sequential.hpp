#pragma once
#include <concepts>
#include <memory>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

#include "handgrad/contract/layer.hpp"

namespace handgrad {

/// y = fₙ(… f₂(f₁(x))): layers one after the other, of any depth and nesting. The backward runs the chain rule from the
/// last to the first: δₙ = ∂L/∂y, δᵢ₋₁ = (∂fᵢ/∂x)ᵀ·δᵢ.
///
///     Sequential net{Linear(2, 4), Tanh(), Linear(4, 1)};
///     std::cout << net;
///     auto& first = dynamic_cast<Linear<float>&>(net[0]);
///
/// An untraced run is fused where that changes nothing but speed and rounding: an activation into the Linear before it,
/// and, on the way back, into the product of the Linear after it. Errors of a layer name its place: `Sequential[2]
/// Linear(16 → 1): …`.
template <class T = float>
class Sequential : public Layer<T> {
 public:
  Sequential() { this->requires_input_grad(false); }
  template <class... L>
  requires(sizeof...(L) > 1 ||
           !(std::same_as<std::remove_cvref_t<L>, Sequential> && ...)) explicit Sequential(L&&... layers)
      : Sequential() {
    static_assert(
        (std::derived_from<std::remove_cvref_t<L>, Layer<T>> && ...),
        "all layers of a Sequential are of one number type: Sequential{Linear<double>(2, 4), Tanh<double>()}");
    static_assert((!std::is_lvalue_reference_v<L> && ...),
                  "a Sequential takes its layers over: Sequential{std::move(layer)}, or push_back of a shared_ptr");
    (push_back(std::make_shared<std::remove_cvref_t<L>>(std::move(layers))), ...);
  }

  void push_back(std::shared_ptr<Layer<T>> layer);
  std::size_t size() const { return this->children().size(); }
  /// Layer i, from 0. Throws ValueError when there is none.
  Layer<T>& operator[](std::size_t i) const;

  Shape output_shape(const Shape& input) const override;

 protected:
  const Tensor<T>& propagate(const Tensor<T>& x) override;
  const Tensor<T>& backpropagate(const Tensor<T>& dy) override;
  void forward_into(const Tensor<T>&, Tensor<T>&) override {}
  void backward_into(const Tensor<T>&, const Tensor<T>&, const Tensor<T>&, Tensor<T>&) override {}
  void input_grad_changed() override;
  void invalidate() override { fusions_known_ = false; }

 private:
  /// What layer i, a Linear, and the activation after it do as one.
  struct Fusion {
    bool forward = false;   // y = f(x·Wᵀ + b), without z between
    bool backward = false;  // a Linear comes next: its δ·W, ∘f′ and the sums for this one's db
    // What the device has noted in the forward for the backward, and the y that it belongs to. Held here, y is not
    // written again: where the activation still has it, nothing ran since.
    Tensor<T> mask, y;
  };
  void find_fusions();
  void release_inputs();
  const Tensor<T>& propagate_fused(std::size_t i, const Tensor<T>& x);
  bool fuses_backward(std::size_t i) const;
  const Tensor<T>& backpropagate_fused(std::size_t& i, const Tensor<T>& dy);

  std::vector<Fusion> fusions_;
  bool fusions_known_ = false;
};

template <class L, class... Rest>
Sequential(L&&, Rest&&...) -> Sequential<typename std::remove_cvref_t<L>::value_type>;

}  // namespace handgrad
