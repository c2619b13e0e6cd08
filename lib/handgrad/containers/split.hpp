#pragma once
#include "handgrad/containers/branches.hpp"

namespace handgrad {

/// x = [x₁, x₂, …] and y = [f₁(x₁), f₂(x₂), …]: each branch has its own part of the input, and the outputs are joined
/// along the same dimension (by default 1: features or channels).
///
///     Split({2, 3}, Linear(2, 4), Identity())          // (N, 5) → (N, 4 + 3)
///     Split({1, 1}, Tanh(), Sigmoid()).dim(-1)
///
/// The parts do not overlap, so nothing adds: every part of x has one gradient.
///
///     δ = [δ₁, δ₂, …],   dx = [(∂f₁/∂x₁)ᵀ·δ₁, (∂f₂/∂x₂)ᵀ·δ₂, …]
///
/// Names are those of a ModuleList: `0.weight`. Throws ValueError unless there is one size per branch, ShapeError,
/// naming the branch, if the sizes do not add up to the input's or the outputs do not fit side by side.
template <class T = float>
class Split : public detail::SideBySide<T> {
 public:
  template <class... L>
  requires(sizeof...(L) > 0) explicit Split(std::vector<std::size_t> sizes, L&&... branches)
      : Split(std::move(sizes),
              std::vector<std::shared_ptr<Layer<T>>>{detail::as_one<T>(std::forward<L>(branches))...}) {}
  Split(std::vector<std::size_t> sizes, std::vector<std::shared_ptr<Layer<T>>> branches);

  /// The dimension; negative counts from the end.
  Split&& dim(int dim) && {
    dim_ = dim;
    return std::move(*this);
  }
  using detail::SideBySide<T>::dim;
  /// The number of columns, channels, … of each branch.
  const std::vector<std::size_t>& sizes() const { return sizes_; }

  Shape output_shape(const Shape& input) const override;
  std::string extra_repr() const override;
  trace::Derivation derivation(const Shape& input) const override;

 protected:
  void forward_into(const Tensor<T>& x, Tensor<T>& y) override;
  void backward_into(const Tensor<T>& x, const Tensor<T>& y, const Tensor<T>& dy, Tensor<T>& dx) override;

 private:
  using Base = detail::SideBySide<T>;
  using Base::blocks_, Base::dim_, Base::outputs_, Base::gradients_;
  std::vector<std::size_t> sizes_;
  std::vector<Tensor<T>> inputs_, other_inputs_;  // alternate: a branch keeps its input until the next
};

template <class L, class... Rest>
Split(std::vector<std::size_t>, L&&, Rest&&...) -> Split<typename std::remove_cvref_t<L>::value_type>;

}  // namespace handgrad
