#include "handgrad/training/first_not_finite.hpp"

#include <algorithm>
#include <cmath>
#include <vector>

#include "handgrad/trace/recorder.hpp"

namespace handgrad::detail {

namespace {

template <class V>
bool finite(const std::vector<V>& numbers) {
  return std::all_of(numbers.begin(), numbers.end(), [](V v) { return std::isfinite(v); });
}

/// The label of the layer that owns a parameter.
template <class T>
std::string owner(const Layer<T>& layer, const std::string& name) {
  for (const auto& [child, inner] : layer.children())
    if (name.starts_with(child + ".")) return owner(*inner, name.substr(child.size() + 1));
  return layer.label();
}

/// Records a second forward, with the masks of the first. Buffers are left unchanged.
template <class T>
trace::Trace forward_again(Layer<T>& net, Loss<T>& loss, const Tensor<T>& x, const Tensor<T>& t) {
  const std::vector<NamedTensor<T>> before = net.state_dict();
  const bool repeated = net.repeats_random();
  net.repeat_random(true);
  trace::Recorder recorder;
  loss.forward(net.forward(x), t);
  net.repeat_random(repeated);
  net.load_state_dict(before);
  return recorder.stop();
}

}  // namespace

template <class T>
std::string first_not_finite(Layer<T>& net, Loss<T>& loss, const Tensor<T>& x, const Tensor<T>& t) {
  if (!finite(x.to_vector())) return "the batch itself";
  if (!finite(t.to_vector())) return "the batch's targets";
  const auto parameters = net.named_parameters();
  for (const auto& [name, parameter] : parameters) {
    if (finite(parameter.value().to_vector())) continue;
    // In backward order, from the last layer to the first.
    for (auto p = parameters.rbegin(); p != parameters.rend(); ++p)
      if (p->second.has_grad() && !finite(p->second.grad().to_vector()))
        return "the gradient of " + p->first + ", of " + owner(net, p->first) + ", in the step before";
    return name + ", of " + owner(net, name) + ", after the update of the step before";
  }
  const trace::Trace forward = forward_again(net, loss, x, t);
  for (std::size_t i = 0; i < forward.assignments.size(); ++i) {
    const trace::Assignment& a = forward.assignments[i];
    if (a.phase == trace::Phase::Forward && a.by_library && !finite(forward.result(i).numbers))
      return a.target + " of layer " + a.layer + ", " + a.label;
  }
  return "the loss itself, " + loss.name() + ": the prediction is finite";
}

template std::string first_not_finite(Layer<float>&, Loss<float>&, const Tensor<float>&, const Tensor<float>&);
template std::string first_not_finite(Layer<double>&, Loss<double>&, const Tensor<double>&, const Tensor<double>&);

}  // namespace handgrad::detail
