#include "handgrad/contract/gradient_hook.hpp"

#include "handgrad/contract/layer.hpp"

namespace handgrad {

namespace {

template <class T>
constinit thread_local GradientListener<T>* first_listener = nullptr;
template <class T>
constinit thread_local bool inside_backward = false;

}  // namespace

template <class T>
GradientListener<T>::GradientListener() : outer_(first_listener<T>) {
  first_listener<T> = this;
}

template <class T>
GradientListener<T>::~GradientListener() {
  GradientListener** place = &first_listener<T>;
  while (*place && *place != this) place = &(*place)->outer_;
  if (*place) *place = outer_;
}

template <class T>
template <class F>
void GradientUses<T>::for_each(const Layer<T>& layer, const F& f) {
  for (const auto& [name, own] : layer.parameters_) {
    Parameter<T> parameter = own;  // a handle
    f(parameter);
  }
  for (const auto& [name, child] : layer.children()) for_each(*child, f);
}

template <class T>
bool GradientUses<T>::heard() {
  return first_listener<T> != nullptr;
}

template <class T>
void GradientUses<T>::tell(Parameter<T>& parameter) {
  if (!parameter.has_grad()) return;
  for (GradientListener<T>* listener = first_listener<T>; listener; listener = listener->outer_)
    listener->ready(parameter);
}

template <class T>
void GradientUses<T>::done(Parameter<T>& parameter) {
  auto& uses = parameter.uses();
  if (uses.pending > 0 && --uses.pending == 0) tell(parameter);
}

template <class T>
GradientUses<T>::GradientUses(const Layer<T>& root) : root_(root), outermost_(!inside_backward<T>) {
  if (!outermost_) return;
  inside_backward<T> = true;
  for_each(root_, [](Parameter<T>& parameter) { parameter.uses() = {}; });
  for_each(root_, [](Parameter<T>& parameter) {
    if (parameter.requires_grad()) parameter.uses().all = ++parameter.uses().pending;
  });
  for (GradientListener<T>* listener = first_listener<T>; listener; listener = listener->outer_) listener->begin(root_);
}

template <class T>
void GradientUses<T>::lost(const Loss<T>& loss) {
  for (GradientListener<T>* listener = first_listener<T>; listener; listener = listener->outer_) listener->loss(loss);
}

template <class T>
GradientUses<T>::~GradientUses() {
  if (!outermost_) return;
  inside_backward<T> = false;
  for_each(root_, [](Parameter<T>& parameter) { parameter.uses() = {}; });
}

template <class T>
void GradientUses<T>::finish() {
  if (!outermost_) return;
  for_each(root_, [](Parameter<T>& parameter) {
    const auto uses = parameter.uses();
    parameter.uses() = {};
    if (uses.pending > 0 && uses.pending < uses.all) tell(parameter);
  });
  for (GradientListener<T>* listener = first_listener<T>; listener; listener = listener->outer_) listener->end(root_);
}

template class GradientListener<float>;
template class GradientListener<double>;
template struct GradientUses<float>;
template struct GradientUses<double>;

}  // namespace handgrad
