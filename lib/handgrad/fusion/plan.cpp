#include "handgrad/fusion/plan.hpp"

#include "handgrad/trace/recorder.hpp"

namespace handgrad::fusion {

template <class T>
Plan<T>::Plan(std::vector<Layer<T>*> layers)
    : layers_(std::move(layers)), forward_(layers_.size()), backward_(layers_.size()) {
  const Layers<T> all = layers_;
  for (std::size_t i = 0; i < all.size(); ++i)
    for (const Pattern<T>& pattern : patterns<T>()) {
      if (pattern.match_forward && !forward_[i].pattern)
        if (const std::size_t count = pattern.match_forward(all.subspan(i))) forward_[i] = {&pattern, count};
      if (pattern.match_backward && !backward_[i].pattern)
        if (const std::size_t count = pattern.match_backward(all.first(i + 1))) backward_[i] = {&pattern, count};
    }
}

template <class T>
const Tensor<T>& Plan<T>::forward(std::size_t& i, const Tensor<T>& x) const {
  const auto& [pattern, count] = forward_[i];
  const bool fused = pattern && !trace::recorder();
  const Tensor<T>& y = fused ? pattern->forward(Layers<T>(layers_).subspan(i), x) : layers_[i]->forward(x);
  i += fused ? count : 1;
  return y;
}

template <class T>
const Tensor<T>& Plan<T>::backward(std::size_t& i, const Tensor<T>& dy) const {
  const auto& [pattern, count] = backward_[i - 1];
  if (pattern && !trace::recorder())
    if (const Done<T> done = pattern->backward(Layers<T>(layers_).subspan(i - count, count), dy); done.layers > 0) {
      i -= done.layers;
      return *done.dx;
    }
  const Tensor<T>& dx = layers_[i - 1]->backward(dy);
  --i;
  return dx;
}

template class Plan<float>;
template class Plan<double>;

}  // namespace handgrad::fusion
