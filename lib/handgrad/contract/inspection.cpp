#include "handgrad/contract/inspection.hpp"

#include "handgrad/contract/layer.hpp"
#include "handgrad/contract/loss.hpp"
#include "handgrad/trace/derivation.hpp"

namespace handgrad {

template <class T>
void LayerInspection<T>::repeat_random(bool on) {
  repeat_random_ = on;
  for (const auto& [name, child] : static_cast<Layer<T>&>(*this).children()) child->repeat_random(on);
}

template <class T>
void LayerInspection<T>::append_kink_sides(std::vector<bool>& sides) const {
  const auto& layer = static_cast<const Layer<T>&>(*this);
  kink_sides(layer.x_, sides);
  for (const auto& [name, child] : layer.children()) child->append_kink_sides(sides);
}

template <class T>
void LayerInspection<T>::fill_buffers(T content) {
  auto& layer = static_cast<Layer<T>&>(*this);
  for (Tensor<T>* buffer : {&layer.y_, &layer.other_y_, &layer.dx_})
    if (buffer->defined()) buffer->fill(content);
  for (const auto& [name, child] : layer.children()) child->fill_buffers(content);
}

template <class T>
trace::Derivation LayerInspection<T>::derivation(const Shape&) const {
  return {};
}

template <class T>
std::vector<SideTensor<T>> LayerInspection<T>::side_inputs() {
  return {};
}
template <class T>
std::vector<SideTensor<T>> LayerInspection<T>::side_outputs() {
  return {};
}

template <class T>
void LossInspection<T>::append_kink_sides(std::vector<bool>& sides) const {
  const auto& loss = static_cast<const Loss<T>&>(*this);
  kink_sides(loss.p_, loss.t_, sides);
}

template <class T>
void LossInspection<T>::fill_buffers(T content) {
  auto& loss = static_cast<Loss<T>&>(*this);
  for (Tensor<T>* buffer : {&loss.value_, &loss.dp_})
    if (buffer->defined()) buffer->fill(content);
}

template <class T>
trace::Derivation LossInspection<T>::derivation(const Shape&, const Shape&) const {
  return {};
}

template class LayerInspection<float>;
template class LayerInspection<double>;
template class LossInspection<float>;
template class LossInspection<double>;

}  // namespace handgrad
