#include "handgrad/containers/concat.hpp"

#include "handgrad/trace/derivation.hpp"

namespace handgrad {

// y = [f₁(x), f₂(x), …]
template <class T>
void Concat<T>::forward_into(const Tensor<T>& x, Tensor<T>& y) {
  outputs_.clear();  // let go, so that the branches can write them anew
  gradients_.clear();
  for (std::size_t i = 0; i < size(); ++i)
    outputs_.push_back(
        detail::in_branch("Concat: branch " + std::to_string(i) + ", ", [&] { return (*this)[i].forward(x); }));
  blocks_.join(outputs_, dim_, y);
}

// dx = Σᵢ (∂fᵢ/∂x)ᵀ·δᵢ
template <class T>
void Concat<T>::backward_into(const Tensor<T>&, const Tensor<T>&, const Tensor<T>& dy, Tensor<T>& dx) {
  gradients_.clear();
  deltas_.resize(size());
  std::size_t before = 0;
  for (std::size_t i = 0; i < size(); ++i) {
    deltas_[i].reserve(outputs_[i].shape(), dy.device());
    blocks_.take(dy, dim_, before, deltas_[i]);
    before += deltas_[i].size(detail::dimension(dy.shape(), dim_));
    gradients_.push_back((*this)[i].backward(deltas_[i]));
  }
  if (!this->requires_input_grad()) return;
  dx.copy_from(gradients_[0]);
  for (std::size_t i = 1; i < size(); ++i) detail::add_to(dx, gradients_[i]);
}

template <class T>
void Concat<T>::push_back(std::shared_ptr<Layer<T>> branch) {
  if (branch) branch->requires_input_grad(this->requires_input_grad());
  this->register_child(std::to_string(size()), std::move(branch));
}

template <class T>
Layer<T>& Concat<T>::operator[](std::size_t i) const {
  if (i >= size())
    throw ValueError("Concat[" + std::to_string(i) + "]: there are " + std::to_string(size()) + " branches");
  return *this->children()[i].second;
}

template <class T>
void Concat<T>::input_grad_changed() {
  for (const auto& [name, branch] : this->children()) branch->requires_input_grad(this->requires_input_grad());
}

template <class T>
Shape Concat<T>::output_shape(const Shape& input) const {
  std::vector<Shape> shapes;
  for (std::size_t i = 0; i < size(); ++i)
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
  d.forward = {trace::Equation::symbols("y = [" + outputs + "]")};
  d.backward = {trace::Equation(("dx = " + sum).c_str())};
  return d;
}

template class Concat<float>;
template class Concat<double>;

}  // namespace handgrad
