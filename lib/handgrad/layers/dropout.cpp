#include "handgrad/layers/dropout.hpp"

#include "handgrad/base/backend.hpp"
#include "handgrad/base/format.hpp"
#include "handgrad/base/random.hpp"
#include "handgrad/base/views.hpp"
#include "handgrad/trace/derivation.hpp"

namespace handgrad {

template <class T>
void Dropout<T>::forward_into(const Tensor<T>& x, Tensor<T>& y) {
  masked_ = this->is_training() && p_ > 0;
  if (!masked_) {
    y.copy_from(x);
    return;
  }
  step_ = step_.to(x.device());
  // y = m∘x/(1−p)
  backend<T>(x.device())
      .dropout.apply({p_, seed_, stream_}, !this->repeats_random(), step_.data(), view::vector(x), view::vector(y));
}

template <class T>
void Dropout<T>::backward_into(const Tensor<T>&, const Tensor<T>&, const Tensor<T>& dy, Tensor<T>& dx) {
  if (!this->requires_input_grad()) return;
  // dx = m∘δ/(1−p)
  if (masked_)
    backend<T>(dy.device())
        .dropout.apply({p_, seed_, stream_}, false, step_.data(), view::vector(dy), view::vector(dx));
  else
    dx.copy_from(dy);
}

template <class T>
Dropout<T>::Dropout(double p)
    : p_(p),
      seed_(default_generator().initial_seed()),
      stream_(default_generator().next_stream()),
      step_(zeros<double>({})) {
  if (!(p >= 0 && p <= 1)) throw ValueError("Dropout: p = " + format_number(p) + ", a probability in [0, 1] expected");
}

template <class T>
typename Dropout<T>::State Dropout<T>::state() const {
  return {seed_, stream_, static_cast<std::uint64_t>(step_.item())};
}

template <class T>
void Dropout<T>::set_state(const State& state) {
  seed_ = state.seed;
  stream_ = state.stream;
  step_.fill(static_cast<double>(state.step));
}

template <class T>
void Dropout<T>::draw(Device device) {
  step_ = step_.to(device);
  backend<T>(device).dropout.apply(rule(), !this->repeats_random(), step_.data(), {}, {});
}

template <class T>
formulas::Dropout Dropout<T>::rule() const {
  return {p_, seed_, stream_};
}

template <class T>
std::string Dropout<T>::extra_repr() const {
  return "p=" + format_number(p_) + ", inplace=False";
}

template <class T>
trace::Derivation Dropout<T>::derivation(const Shape& input) const {
  if (!masked_) return {{"y = x"}, {"dx = δ"}};
  Tensor<double> step = step_;
  Tensor<T> mask = ones<T>(input, step.device());  // what the last forward made of ones
  backend<T>(step.device())
      .dropout.apply({p_, seed_, stream_}, false, step.data(), view::vector(mask), view::vector(mask));
  trace::Array m = trace::array(mask);
  for (double& element : m.numbers) element = element != 0;
  return {
      {"y = if(m = 0, 0, x/(1 − p))"}, {"dx = if(m = 0, 0, δ/(1 − p))"}, {}, {{"m", m}, {"p", trace::constant(p_)}}};
}

template class Dropout<float>;
template class Dropout<double>;

}  // namespace handgrad
