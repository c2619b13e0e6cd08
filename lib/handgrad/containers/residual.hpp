#pragma once
#include "handgrad/containers/branches.hpp"

namespace handgrad {

/// y = x + f(x): f learns the difference from x (He et al. 2015). With a shortcut s, y = s(x) + f(x).
///
///     Residual{Linear(16, 16), ReLU(), Linear(16, 16)}
///     Residual{Linear(16, 32), Tanh()}.shortcut(Linear(16, 32, false))
///
/// x is used twice, and L depends on it along both paths: the gradients of all uses of a value *add*.
///
///     dx = ∂L/∂x = (∂y/∂x)ᵀ·δ = (I + ∂f/∂x)ᵀ·δ = δ + (∂f/∂x)ᵀ·δ          with a shortcut (∂s/∂x)ᵀ·δ for the first δ
///
/// The first δ is why depth does no harm: a gradient arrives even if f passes none on. Without it a network still
/// learns, but worse.
///
/// Names are those of a module with `self.f` and `self.shortcut`; f is a Sequential if several layers are given. Throws
/// ShapeError unless f(x) has the shape of what it is added to.
template <class T = float>
class Residual : public detail::Branching<T> {
 public:
  template <class... L>
  requires(sizeof...(L) > 1 || (sizeof...(L) == 1 && !(std::same_as<std::remove_cvref_t<L>, Residual> &&
                                                       ...))) explicit Residual(L&&... layers)
      : Residual(detail::as_one<T>(std::forward<L>(layers)...)) {}
  explicit Residual(std::shared_ptr<Layer<T>> f);

  /// The same with s(x) in place of x.
  template <class... L>
  Residual&& shortcut(L&&... layers) && {
    set_shortcut(detail::as_one<T>(std::forward<L>(layers)...));
    return std::move(*this);
  }
  void set_shortcut(std::shared_ptr<Layer<T>> s);

  Shape output_shape(const Shape& input) const override;
  trace::Derivation derivation(const Shape& input) const override;

 protected:
  void forward_into(const Tensor<T>& x, Tensor<T>& y) override;
  void backward_into(const Tensor<T>& x, const Tensor<T>& y, const Tensor<T>& dy, Tensor<T>& dx) override;

 private:
  Layer<T>& f() const { return *this->children()[0].second; }
  Layer<T>* s() const { return this->children().size() > 1 ? this->children()[1].second.get() : nullptr; }

  Tensor<T> fx_, sx_, df_, ds_;  // handles of the branches' last results
};

template <class L, class... Rest>
Residual(L&&, Rest&&...) -> Residual<typename std::remove_cvref_t<L>::value_type>;

}  // namespace handgrad
