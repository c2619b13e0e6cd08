#pragma once
#include <concepts>
#include <memory>
#include <optional>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

#include "handgrad/contract/layer.hpp"
#include "handgrad/fusion/plan.hpp"

namespace handgrad {

/// y = fₙ(… f₂(f₁(x))): layers one after the other, of any depth and nesting. The backward runs the chain rule from the
/// last layer to the first: δₙ = ∂L/∂y, δᵢ₋₁ = (∂fᵢ/∂x)ᵀ·δᵢ.
///
///     Sequential net{Linear(2, 4), Tanh(), Linear(4, 1)};
///     std::cout << net;
///     auto& first = dynamic_cast<Linear<float>&>(net[0]);
///
/// Layers are fused where possible (fusion/pattern.hpp), which changes only speed and rounding. A layer's errors name
/// its place: `Sequential[2] Linear(16 → 1): …`.
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

  /// Appends a layer.
  void push_back(std::shared_ptr<Layer<T>> layer);
  std::size_t size() const { return this->children().size(); }
  /// Layer i, from 0. Throws ValueError if there is none.
  Layer<T>& operator[](std::size_t i) const;

  Shape output_shape(const Shape& input) const override;
  bool differentiable_input() const override { return size() == 0 || (*this)[0].differentiable_input(); }

 protected:
  const Tensor<T>& propagate(const Tensor<T>& x) override;
  const Tensor<T>& backpropagate(const Tensor<T>& dy) override;
  void forward_into(const Tensor<T>&, Tensor<T>&) override {}
  void backward_into(const Tensor<T>&, const Tensor<T>&, const Tensor<T>&, Tensor<T>&) override {}
  void input_grad_changed() override;
  void invalidate() override { plan_.reset(); }

 private:
  const fusion::Plan<T>& plan();
  /// Throws StateError if a layer before layer i, which no gradient reaches, has parameters to learn.
  void require_frozen_below(std::size_t i) const;

  std::optional<fusion::Plan<T>> plan_;  // made by the first forward
};

template <class L, class... Rest>
Sequential(L&&, Rest&&...) -> Sequential<typename std::remove_cvref_t<L>::value_type>;

}  // namespace handgrad
