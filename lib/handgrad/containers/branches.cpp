#include "handgrad/containers/branches.hpp"

namespace handgrad::detail {

template <class T>
bool Branching<T>::differentiable_input() const {
  for (const auto& [name, branch] : this->children())
    if (!branch->differentiable_input()) return false;
  return true;
}

template <class T>
void Branching<T>::input_grad_changed() {
  for (const auto& [name, branch] : this->children()) branch->requires_input_grad(this->requires_input_grad());
}

template <class T>
Layer<T>& SideBySide<T>::operator[](std::size_t i) const {
  if (i >= size())
    throw ValueError(this->name() + "[" + std::to_string(i) + "]: there are " + std::to_string(size()) + " branches");
  return *this->children()[i].second;
}

// δ = [δ₁, δ₂, …]
template <class T>
void SideBySide<T>::backward_branches(const Tensor<T>& dy) {
  gradients_.clear();
  deltas_.resize(size());
  std::size_t before = 0;
  for (std::size_t i = 0; i < size(); ++i) {
    deltas_[i].reserve(outputs_[i].shape(), dy.device());
    blocks_.take(dy, dim_, before, deltas_[i]);
    before += deltas_[i].size(dimension(dy.shape(), dim_));
    gradients_.push_back((*this)[i].backward(deltas_[i]));
  }
}

template class Branching<float>;
template class Branching<double>;
template class SideBySide<float>;
template class SideBySide<double>;

}  // namespace handgrad::detail
