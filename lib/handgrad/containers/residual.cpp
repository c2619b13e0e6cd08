#include "handgrad/containers/residual.hpp"

#include "handgrad/trace/derivation.hpp"

namespace handgrad {

// y = x + f(x)
template <class T>
void Residual<T>::forward_into(const Tensor<T>& x, Tensor<T>& y) {
  fx_ = sx_ = df_ = ds_ = Tensor<T>();  // released for the branches to write again
  fx_ = detail::in_branch("Residual: f, ", [&] { return f().forward(x); });
  if (s()) sx_ = detail::in_branch("Residual: shortcut, ", [&] { return s()->forward(x); });
  y.copy_from(s() ? sx_ : x);
  detail::add_to(y, fx_);
}

// dx = δ + (∂f/∂x)ᵀ·δ
template <class T>
void Residual<T>::backward_into(const Tensor<T>&, const Tensor<T>&, const Tensor<T>& dy, Tensor<T>& dx) {
  df_ = ds_ = Tensor<T>();
  df_ = f().backward(dy);
  if (s()) ds_ = s()->backward(dy);
  if (!this->requires_input_grad()) return;
  dx.copy_from(s() ? ds_ : dy);
  detail::add_to(dx, df_);
}

template <class T>
Residual<T>::Residual(std::shared_ptr<Layer<T>> f) {
  this->register_child("f", std::move(f));
  this->input_grad_changed();
}

template <class T>
void Residual<T>::set_shortcut(std::shared_ptr<Layer<T>> s) {
  if (this->s()) throw ValueError("Residual: there is a shortcut already");
  this->register_child("shortcut", std::move(s));
  this->input_grad_changed();
}

template <class T>
Shape Residual<T>::output_shape(const Shape& input) const {
  const Shape fx = detail::branch_shape("f", f(), input);
  const Shape sx = s() ? detail::branch_shape("shortcut", *s(), input) : input;
  if (!(fx == sx))
    throw ShapeError("f(x) has shape " + fx.str() + ", " + (s() ? "the shortcut's output " : "x ") + sx.str() +
                     "; only equal shapes are added" +
                     (s() ? "" : " (a shortcut brings x to the shape of f(x): Residual{…}.shortcut(Linear(…)))"));
  return fx;
}

template <class T>
trace::Derivation Residual<T>::derivation(const Shape&) const {
  trace::Derivation d;
  const trace::Why past{"What comes in goes past the layers, and what they make of it is added."};
  const trace::Why two_ways{"x goes two ways to y, past the layers and through them: two gradients, added."};
  if (s())
    d = {{{"y = s + f", past}}, {{"dx = ds + df", two_ways}}};
  else
    d = {{{"y = x + f", past}}, {{"dx = δ + df", two_ways}}};
  d.link("f", fx_).link("s", sx_).link("df", df_).link("ds", ds_);
  return d;
}

template class Residual<float>;
template class Residual<double>;

}  // namespace handgrad
