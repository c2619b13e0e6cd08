#pragma once
#include "handgrad/containers/branches.hpp"

namespace handgrad {

/// y = [f₁(x), f₂(x), …]: the same x through several branches, their outputs side by side along a dimension (by default
/// 1: features or channels). Two heads on one trunk:
///
///     Sequential net{Linear(8, 16), ReLU(), Concat{Linear(16, 1), Linear(16, 3)}};     // (N, 8) → (N, 1 + 3)
///     Concat{Linear(4, 2), Tanh()}.dim(-1)
///
/// Each branch gets its part of the gradient, and x the sum of the branches' gradients, since L depends on x along
/// every branch:
///
///     δ = [δ₁, δ₂, …],   dx = Σᵢ (∂fᵢ/∂x)ᵀ·δᵢ
///
/// Names are those of a ModuleList: `0.weight`. An Identity passes x on beside the other outputs. Throws ShapeError,
/// naming the branch, if the outputs differ in size along any other dimension.
template <class T = float>
class Concat : public detail::SideBySide<T> {
 public:
  template <class... L>
  requires(sizeof...(L) > 1 || (sizeof...(L) == 1 && !(std::same_as<std::remove_cvref_t<L>, Concat> &&
                                                       ...))) explicit Concat(L&&... branches) {
    (push_back(detail::as_one<T>(std::forward<L>(branches))), ...);
  }
  Concat() = default;

  /// The dimension; negative counts from the end.
  Concat&& dim(int dim) && {
    dim_ = dim;
    return std::move(*this);
  }
  using detail::SideBySide<T>::dim;
  void push_back(std::shared_ptr<Layer<T>> branch);

  Shape output_shape(const Shape& input) const override;
  std::string extra_repr() const override { return dim_ == 1 ? "" : "dim=" + std::to_string(dim_); }
  trace::Derivation derivation(const Shape& input) const override;

 protected:
  void forward_into(const Tensor<T>& x, Tensor<T>& y) override;
  void backward_into(const Tensor<T>& x, const Tensor<T>& y, const Tensor<T>& dy, Tensor<T>& dx) override;

 private:
  using Base = detail::SideBySide<T>;
  using Base::blocks_, Base::dim_, Base::outputs_, Base::gradients_;
};

template <class L, class... Rest>
Concat(L&&, Rest&&...) -> Concat<typename std::remove_cvref_t<L>::value_type>;

}  // namespace handgrad
