#include "handgrad/losses/l2_penalty.hpp"

#include "handgrad/base/backend.hpp"
#include "handgrad/base/errors.hpp"
#include "handgrad/base/format.hpp"
#include "handgrad/base/views.hpp"
#include "handgrad/trace/recorder.hpp"

namespace handgrad {

template <class T>
L2Penalty<T>::L2Penalty(std::vector<Parameter<T>> weights, double lambda)
    : weights_(std::move(weights)), lambda_(static_cast<T>(lambda)) {
  if (!(lambda >= 0)) throw ValueError("L2Penalty: lambda ≥ 0 expected, " + format_number(lambda) + " came");
  if (weights_.empty()) throw ValueError("L2Penalty: no weights named");
}

template <class T>
const Tensor<T>& L2Penalty<T>::forward() {
  const Device device = weights_.front().value().device();
  auto& k = backend<T>(device).elements;
  value_.reserve({}, device);
  part_.reserve({}, device);
  value_.fill(T(0));
  for (const Parameter<T>& w : weights_) {
    k.sum_of_squares(view::vector(w), lambda_, part_.data());
    k.add(view::vector(value_), T(1), view::vector(part_));
  }
  if (trace::Recorder* recorder = trace::recorder()) recorder->penalty(weights_, static_cast<double>(lambda_), value_);
  return value_;
}

template <class T>
void L2Penalty<T>::backward() {
  for (Parameter<T>& w : weights_) {
    if (!w.requires_grad()) continue;
    trace::Recorder* recorder = trace::recorder();
    if (recorder) recorder->before_penalty(w);
    auto [grad, beta] = w.accumulate();
    if (beta == T(0)) grad.fill(T(0));
    backend<T>(grad.device()).elements.add(view::vector(grad), 2 * lambda_, view::vector(w));  // dw += 2λ·w
    if (recorder) recorder->penalty(w, static_cast<double>(lambda_));
  }
}

template class L2Penalty<float>;
template class L2Penalty<double>;

}  // namespace handgrad
