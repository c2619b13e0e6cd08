#include "handgrad/layers/dropout.hpp"

#include <utility>

#include "handgrad/base/backend.hpp"
#include "handgrad/base/format.hpp"
#include "handgrad/base/random.hpp"
#include "handgrad/base/views.hpp"
#include "handgrad/trace/derivation.hpp"

namespace handgrad {

using trace::Why;

// Why, for both kinds; `what` is silenced.
static Why silenced(const std::string& what) {
  return {"The mask m silences some " + what + " at random; the others grow by 1/(1 − p), so that their mean stays."};
}
static Why unsilenced() { return {"What was silenced has no part in the loss; the others had the factor 1/(1 − p)."}; }
// Outside of training.
static trace::Derivation as_it_is() {
  return {{{"y = x", Why{"Outside of training nothing is silenced."}}}, {{"dx = δ", Why{"y moves just as x does."}}}};
}

template <class T>
void Dropout<T>::forward_into(const Tensor<T>& x, Tensor<T>& y) {
  masked_ = this->is_training() && p_ > 0;
  if (!masked_) {
    y.copy_from(x);
    return;
  }
  mask(!this->repeats_random(), x, y);  // y = m∘x/(1−p)
}

template <class T>
void Dropout<T>::backward_into(const Tensor<T>&, const Tensor<T>&, const Tensor<T>& dy, Tensor<T>& dx) {
  if (!this->requires_input_grad()) return;
  // dx = m∘δ/(1−p)
  if (masked_)
    mask(false, dy, dx);
  else
    dx.copy_from(dy);
}

template <class T>
void Dropout<T>::mask(bool advance, const Tensor<T>& x, Tensor<T>& y) {
  step_ = step_.to(x.device());
  backend<T>(x.device()).dropout.apply({p_, seed_, stream_}, advance, step_.data(), view::vector(x), view::vector(y));
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
  if (!masked_) return as_it_is();
  Tensor<double> step = step_;
  Tensor<T> mask = ones<T>(input, step.device());  // the last forward applied to ones
  backend<T>(step.device())
      .dropout.apply({p_, seed_, stream_}, false, step.data(), view::vector(mask), view::vector(mask));
  trace::Array m = trace::array(mask);
  for (double& element : m.numbers) element = element != 0;
  return {{{"y = if(m = 0, 0, x/(1 − p))", silenced("numbers")}},
          {{"dx = if(m = 0, 0, δ/(1 − p))", unsilenced()}},
          {},
          {{"m", m}, {"p", trace::constant(p_)}}};
}

template <class T>
void Dropout2d<T>::forward_into(const Tensor<T>& x, Tensor<T>& y) {
  this->masked_ = this->is_training() && this->p_ > 0;
  y.copy_from(x);
  if (!this->masked_) return;
  // y = m_c·x/(1−p)
  const std::size_t channels = x.size(0) * x.size(1);
  factors_.reserve({channels}, x.device());
  factors_.fill(T(1));
  this->mask(!this->repeats_random(), factors_, factors_);
  backend<T>(x.device()).elements.multiply_rows(view::rows_of(y, channels), view::vector(factors_));
}

template <class T>
void Dropout2d<T>::backward_into(const Tensor<T>&, const Tensor<T>&, const Tensor<T>& dy, Tensor<T>& dx) {
  if (!this->requires_input_grad()) return;
  // dx = m_c·δ/(1−p)
  dx.copy_from(dy);
  if (this->masked_)
    backend<T>(dy.device())
        .elements.multiply_rows(view::rows_of(dx, factors_.numel()), view::vector(std::as_const(factors_)));
}

template <class T>
Shape Dropout2d<T>::output_shape(const Shape& input) const {
  if (input.rank() != 3 && input.rank() != 4)
    throw ShapeError("an input of shape (N, C, H, W) or (N, C, L) expected, one of shape " + input.str() + " came");
  return input;
}

template <class T>
trace::Derivation Dropout2d<T>::derivation(const Shape& input) const {
  if (!this->masked_) return as_it_is();
  const std::string at = input.rank() == 3 ? "[n,c,i]" : "[n,c,i,j]";
  trace::Array m = trace::array(factors_.reshape({input[0], input[1]}));
  for (double& element : m.numbers) element = element != 0;
  return {{{"y = m∘x/(1 − p)", "y" + at + " = if(m[n,c] = 0, 0, x" + at + "/(1 − p))", silenced("channels")}},
          {{"dx = m∘δ/(1 − p)", "dx" + at + " = if(m[n,c] = 0, 0, δ" + at + "/(1 − p))", unsilenced()}},
          {},
          {{"m", m}, {"p", trace::constant(this->p_)}}};
}

template class Dropout<float>;
template class Dropout<double>;
template class Dropout2d<float>;
template class Dropout2d<double>;

}  // namespace handgrad
