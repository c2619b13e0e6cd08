#include "handgrad/containers/concat.hpp"

#include "handgrad/trace/derivation.hpp"

namespace handgrad {

// y = [f₁(x), f₂(x), …]
template <class T>
void Concat<T>::forward_into(const Tensor<T>& x, Tensor<T>& y) {
  outputs_.clear();  // released for the branches to write again
  gradients_.clear();
  for (std::size_t i = 0; i < this->size(); ++i)
    outputs_.push_back(
        detail::in_branch("Concat: branch " + std::to_string(i) + ", ", [&] { return (*this)[i].forward(x); }));
  blocks_.join(outputs_, dim_, y);
}

// dx = Σᵢ (∂fᵢ/∂x)ᵀ·δᵢ
template <class T>
void Concat<T>::backward_into(const Tensor<T>&, const Tensor<T>&, const Tensor<T>& dy, Tensor<T>& dx) {
  this->backward_branches(dy);
  if (!this->requires_input_grad()) return;
  dx.copy_from(gradients_[0]);
  for (std::size_t i = 1; i < this->size(); ++i) detail::add_to(dx, gradients_[i]);
}

template <class T>
void Concat<T>::push_back(std::shared_ptr<Layer<T>> branch) {
  if (branch) branch->requires_input_grad(this->requires_input_grad());
  this->register_child(std::to_string(this->size()), std::move(branch));
}

template <class T>
Shape Concat<T>::output_shape(const Shape& input) const {
  std::vector<Shape> shapes;
  for (std::size_t i = 0; i < this->size(); ++i)
    shapes.push_back(detail::branch_shape("branch " + std::to_string(i), (*this)[i], input));
  return detail::joined_shape(shapes, dim_, "the output of branch");
}

template <class T>
trace::Derivation Concat<T>::derivation(const Shape&) const {
  std::string outputs, sum;
  trace::Derivation d;
  for (std::size_t i = 0; i < outputs_.size(); ++i) {
    const std::string number = std::to_string(i + 1);
    outputs += (i ? ", y" : "y") + number;
    sum += (i ? " + dx" : "dx") + number;
    d.link("y" + number, outputs_[i]);
    if (i < gradients_.size()) d.link("dx" + number, gradients_[i]);
  }
  d.forward = {trace::Equation::symbols("y = [" + outputs + "]", trace::Why{"What the branches give, side by side."})};
  d.backward = {{("dx = " + sum).c_str(), trace::Why{"x goes into every branch: what they send back adds up."}}};
  return d;
}

template class Concat<float>;
template class Concat<double>;

}  // namespace handgrad
