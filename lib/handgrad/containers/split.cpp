#include "handgrad/containers/split.hpp"

#include <numeric>

#include "handgrad/trace/derivation.hpp"

namespace handgrad {

// y = [f₁(x₁), f₂(x₂), …] of x = [x₁, x₂, …]
template <class T>
void Split<T>::forward_into(const Tensor<T>& x, Tensor<T>& y) {
  outputs_.clear();  // released for the branches to write again
  gradients_.clear();
  std::size_t before = 0;
  for (std::size_t i = 0; i < this->size(); ++i) {
    Shape part = x.shape();
    part[detail::dimension(part, dim_)] = sizes_[i];
    if (!inputs_[i].is_unshared()) std::swap(inputs_[i], other_inputs_[i]);
    inputs_[i].reserve(part, x.device());
    blocks_.take(x, dim_, before, inputs_[i]);
    before += sizes_[i];
    outputs_.push_back(
        detail::in_branch("Split: branch " + std::to_string(i) + ", ", [&] { return (*this)[i].forward(inputs_[i]); }));
  }
  blocks_.join(outputs_, dim_, y);
}

// dx = [(∂f₁/∂x₁)ᵀ·δ₁, (∂f₂/∂x₂)ᵀ·δ₂, …]
template <class T>
void Split<T>::backward_into(const Tensor<T>&, const Tensor<T>&, const Tensor<T>& dy, Tensor<T>& dx) {
  this->backward_branches(dy);
  if (this->requires_input_grad()) blocks_.join(gradients_, dim_, dx);
}

template <class T>
Split<T>::Split(std::vector<std::size_t> sizes, std::vector<std::shared_ptr<Layer<T>>> branches)
    : sizes_(std::move(sizes)), inputs_(sizes_.size()), other_inputs_(sizes_.size()) {
  if (sizes_.size() != branches.size() || branches.empty())
    throw ValueError("Split: " + std::to_string(sizes_.size()) + " sizes for " + std::to_string(branches.size()) +
                     " branches; one each expected");
  for (std::size_t i = 0; i < branches.size(); ++i) {
    if (sizes_[i] == 0) throw ValueError("Split: size 0 of branch " + std::to_string(i) + ", at least 1 expected");
    this->register_child(std::to_string(i), std::move(branches[i]));
  }
  this->input_grad_changed();
}

template <class T>
Shape Split<T>::output_shape(const Shape& input) const {
  const int d = detail::dimension(input, dim_);
  if (const std::size_t sum = std::accumulate(sizes_.begin(), sizes_.end(), std::size_t{0}); sum != input[d])
    throw ShapeError("the parts have " + std::to_string(sum) + " together, the input has " + std::to_string(input[d]) +
                     " in dimension " + std::to_string(d) + " (shape " + input.str() + ")");
  std::vector<Shape> shapes;
  for (std::size_t i = 0; i < this->size(); ++i) {
    Shape part = input;
    part[d] = sizes_[i];
    shapes.push_back(detail::branch_shape("branch " + std::to_string(i), (*this)[i], part));
  }
  return detail::joined_shape(shapes, dim_, "the output of branch");
}

template <class T>
std::string Split<T>::extra_repr() const {
  std::string text;
  for (const std::size_t size : sizes_) text += (text.empty() ? "[" : ", ") + std::to_string(size);
  return text + "]" + (dim_ == 1 ? "" : ", dim=" + std::to_string(dim_));
}

template <class T>
trace::Derivation Split<T>::derivation(const Shape&) const {
  std::string outputs, gradients;
  trace::Derivation d;
  for (std::size_t i = 0; i < outputs_.size(); ++i) {
    const std::string number = std::to_string(i + 1);
    outputs += (i ? ", y" : "y") + number;
    gradients += (i ? ", dx" : "dx") + number;
    d.link("y" + number, outputs_[i]);
    if (i < gradients_.size()) d.link("dx" + number, gradients_[i]);
  }
  d.forward = {trace::Equation::symbols(
      "y = [" + outputs + "]", trace::Why{"Each branch has its own part of x; what they give stands side by side."})};
  d.backward = {
      trace::Equation::symbols("dx = [" + gradients + "]", trace::Why{"Each branch sends back for its own part."})};
  return d;
}

template class Split<float>;
template class Split<double>;

}  // namespace handgrad
