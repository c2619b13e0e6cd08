#include "handgrad/contract/layer.hpp"

#include <cxxabi.h>

#include <algorithm>
#include <cstdlib>
#include <ostream>
#include <sstream>
#include <typeinfo>

#include "handgrad/base/type_name.hpp"
#include "handgrad/contract/counter.hpp"
#include "handgrad/contract/gradient_hook.hpp"
#include "handgrad/trace/recorder.hpp"

namespace handgrad {

std::string class_name(const std::type_info& type) {
  int status = 0;
  std::unique_ptr<char, void (*)(void*)> demangled(abi::__cxa_demangle(type.name(), nullptr, nullptr, &status),
                                                   std::free);
  std::string name = demangled ? demangled.get() : type.name();
  name = name.substr(0, name.find('<'));
  const std::size_t scope = name.rfind("::");
  return scope == std::string::npos ? name : name.substr(scope + 2);
}

template <class T>
const Tensor<T>& Layer<T>::forward(const Tensor<T>& x) & {
  x_ = x;
  if (trace::Recorder* recorder = trace::recorder()) recorder->enter(*this);
  return propagate(x_);
}

template <class T>
const Tensor<T>& Layer<T>::backward(const Tensor<T>& dy) {
  if (!GradientUses<T>::heard()) return backpropagate(dy);
  GradientUses<T> uses(*this);
  const Tensor<T>& dx = backpropagate(dy);
  uses.finish();
  return dx;
}

template <class T>
const Tensor<T>& Layer<T>::propagate(const Tensor<T>& x) {
  accept(x);
  try {
    forward_into(x_, y_);
  } catch (...) {
    x_ = Tensor<T>();
    throw;
  }
  if (trace::Recorder* recorder = trace::recorder()) recorder->forward(*this, x_, y_);
  return y_;
}

template <class T>
void Layer<T>::accept(const Tensor<T>& x) {
  if (&x != &x_) x_ = x;
  try {
    check(x_);
  } catch (...) {  // with an x that does not fit, a backward would write out of bounds
    x_ = Tensor<T>();
    throw;
  }
  if (!y_.is_unshared()) std::swap(y_, other_y_);
  y_.reserve(checked_output_, x_.device());
}

template <class T>
void Layer<T>::check(const Tensor<T>& x) {
  for (const auto& [name, parameter] : parameters_)
    if (!parameter.fits())
      throw ShapeError(label() + ": " + name + " was replaced by a tensor of another shape, " +
                       parameter.shape().str());
  const auto check_buffers = [&](const auto& buffers) {
    for (const auto& [name, buffer] : buffers)
      if (!buffer.fits())
        throw ShapeError(label() + ": " + name + " was replaced by a tensor of another shape, " +
                         buffer.value().shape().str());
  };
  check_buffers(buffers_);
  check_buffers(counters_);
  if (!checked_ || !(checked_input_ == x.shape())) {
    if (x.numel() == 0) throw ShapeError(label() + ": input is empty (shape " + x.shape().str() + ")");
    try {
      checked_output_ = output_shape(x.shape());
    } catch (Error& error) {
      error.prepend(label() + ": ");
      throw;
    }
    checked_input_ = x.shape();
    checked_ = true;
  }
  if (x.device() != device_ && !parameters_.empty())
    throw DeviceError(label() + ": input is on " + x.device().str() + ", the parameters are on " + device_.str());
}

template <class T>
void Layer<T>::accept_gradient(const Tensor<T>& y, const Tensor<T>& dy) const {
  if (!x_.defined() || !y.defined()) throw StateError(label() + ": backward before any forward");
  if (!(dy.shape() == y.shape()))
    throw ShapeError(label() + ": the gradient of an output of shape " + y.shape().str() +
                     " was expected, one of shape " + dy.shape().str() + " came");
  if (dy.device() != y.device())
    throw DeviceError(label() + ": the gradient is on " + dy.device().str() + ", the output on " + y.device().str());
}

template <class T>
const Tensor<T>& Layer<T>::not_wanted() {
  static const Tensor<T> none;
  return none;
}

template <class T>
const Tensor<T>& Layer<T>::backpropagate(const Tensor<T>& dy) {
  accept_gradient(y_, dy);
  if (dx_.defined() && dy.shares_with(dx_)) {  // layer.backward(layer.backward(δ)): dx must not overwrite δ
    const Tensor<T> own = dy;
    dx_ = Tensor<T>();
    return backpropagate(own);
  }
  if (differentiable_input()) dx_.reserve(x_.shape(), x_.device());
  trace::Recorder* recorder = trace::recorder();
  if (recorder) recorder->before_backward(*this);
  backward_into(x_, y_, dy, dx_);
  if (recorder) recorder->backward(*this, x_, y_, dy, dx_);
  if (GradientUses<T>::heard())
    for (auto& [name, parameter] : parameters_) GradientUses<T>::done(parameter);
  return requires_input_grad() ? dx_ : not_wanted();
}

template <class T>
void Layer<T>::requires_input_grad(bool wanted) {
  input_grad_ = wanted;
  input_grad_changed();
}

template <class T>
void Layer<T>::train(bool on) {
  training_ = on;
  for (auto& [name, child] : children_) child->train(on);
  invalidate();
}

template <class T>
template <class F>
void Layer<T>::for_each(const std::string& prefix, F&& visit) const {
  visit(prefix, *this);
  for (const auto& [name, child] : children_) child->for_each(prefix + name + ".", visit);
}

template <class T>
std::vector<NamedParameter<T>> Layer<T>::named_parameters() const {
  std::vector<NamedParameter<T>> all;
  for_each("", [&](const std::string& prefix, const Layer& layer) {
    for (const auto& [name, own] : layer.parameters_) {
      const Parameter<T>& parameter = own;
      if (std::none_of(all.begin(), all.end(), [&](const auto& known) { return known.second.same_as(parameter); }))
        all.emplace_back(prefix + name, parameter);
    }
  });
  return all;
}

template <class T>
std::vector<Parameter<T>> Layer<T>::parameters() const {
  std::vector<Parameter<T>> all;
  for (auto& [name, parameter] : named_parameters()) all.push_back(parameter);
  return all;
}

template <class T>
std::vector<std::pair<std::string, Buffer<T>>> Layer<T>::named_buffers() const {
  std::vector<std::pair<std::string, Buffer<T>>> all;
  for_each("", [&](const std::string& prefix, const Layer& layer) {
    for (const auto& [name, buffer] : layer.buffers_) all.emplace_back(prefix + name, buffer);
  });
  return all;
}

template <class T>
std::vector<std::pair<std::string, Buffer<double>>> Layer<T>::named_counters() const {
  std::vector<std::pair<std::string, Buffer<double>>> all;
  for_each("", [&](const std::string& prefix, const Layer& layer) {
    for (const auto& [name, counter] : layer.counters_) all.emplace_back(prefix + name, counter);
  });
  return all;
}

template <class T>
std::size_t Layer<T>::parameter_count() const {
  std::size_t count = 0;
  for (const auto& [name, parameter] : named_parameters()) count += parameter.numel();
  return count;
}

template <class T>
void Layer<T>::requires_grad(bool wanted) {
  for (auto& [name, parameter] : named_parameters()) parameter.requires_grad(wanted);
}

template <class T>
void Layer<T>::zero_grad() {
  for (auto& [name, parameter] : named_parameters()) parameter.zero_grad();
}

template <class T>
Layer<T>& Layer<T>::to(Device device) {
  for (auto& [name, parameter] : parameters_) parameter.to(device);
  for (auto& [name, buffer] : buffers_) buffer.to(device);
  for (auto& [name, counter] : counters_) counter.to(device);
  for (auto& [name, child] : children_) child->to(device);
  device_ = device;
  x_ = y_ = other_y_ = dx_ = Tensor<T>();
  note_ = {};
  invalidate();
  return *this;
}

template <class T>
std::vector<NamedTensor<T>> Layer<T>::state_dict() const {
  std::vector<NamedTensor<T>> state;
  for_each("", [&](const std::string& prefix, const Layer& layer) {
    for (const auto& [name, parameter] : layer.parameters_)
      state.emplace_back(prefix + name, parameter.value().clone());
    for (const auto& [name, buffer] : layer.buffers_) state.emplace_back(prefix + name, buffer.value().clone());
    for (const auto& [name, counter] : layer.counters_)
      state.emplace_back(prefix + name, detail::count_tensor<T>(counter.value().item()));
  });
  return state;
}

template <class T>
void Layer<T>::load_state_dict(const std::vector<NamedTensor<T>>& state, bool strict) {
  std::vector<NamedTensor<T>> own;  // handles to the layer's tensors
  for_each("", [&](const std::string& prefix, const Layer& layer) {
    for (const auto& [name, parameter] : layer.parameters_) own.emplace_back(prefix + name, parameter.value());
  });
  for (auto& [name, buffer] : named_buffers()) own.emplace_back(name, buffer.value());
  const auto find = [](const std::vector<NamedTensor<T>>& list, const std::string& name) {
    return std::find_if(list.begin(), list.end(), [&](const auto& entry) { return entry.first == name; });
  };
  std::string missing, unexpected;
  for (const auto& [name, tensor] : own) {
    const auto entry = find(state, name);
    if (entry == state.end()) {
      missing += (missing.empty() ? "" : ", ") + name;
    } else if (!(entry->second.shape() == tensor.shape())) {
      throw ShapeError("load_state_dict: " + name + " has shape " + tensor.shape().str() + " here and " +
                       entry->second.shape().str() + " in what was loaded");
    }
  }
  // Files of early PyTorch versions lack the counters, which then start again, as in PyTorch.
  std::vector<std::pair<Buffer<double>, double>> counts;
  std::vector<NamedTensor<T>> counted;
  for (auto& [name, counter] : named_counters()) {
    double count = 0;
    if (const auto entry = find(state, name); entry != state.end()) {
      if (!detail::is_count(entry->second))
        throw ShapeError("load_state_dict: " + name + " is one number here, of shape " + entry->second.shape().str() +
                         " in what was loaded");
      count = detail::count_of(entry->second);
      counted.push_back(*entry);
    }
    counts.emplace_back(counter, count);
  }
  for (const auto& [name, tensor] : state)
    if (find(own, name) == own.end() && find(counted, name) == counted.end())
      unexpected += (unexpected.empty() ? "" : ", ") + name;
  if (strict && !(missing.empty() && unexpected.empty()))
    throw ValueError("load_state_dict: " + (missing.empty() ? "" : "missing " + missing) +
                     (missing.empty() || unexpected.empty() ? "" : "; ") +
                     (unexpected.empty() ? "" : "unexpected " + unexpected));
  for (auto& [name, tensor] : own)
    if (const auto entry = find(state, name); entry != state.end()) tensor.copy_from(entry->second);
  for (auto& [counter, count] : counts) counter.value().fill(count);
}

template <class T>
std::string Layer<T>::name() const {
  return class_name(typeid(*this));
}

template <class T>
Parameter<T> Layer<T>::register_parameter(std::string name, Tensor<T> value) {
  device_ = value.device();
  return parameters_.emplace_back(std::move(name), Parameter<T>(std::move(value))).second;
}

template <class T>
Buffer<T> Layer<T>::register_buffer(std::string name, Tensor<T> value) {
  return buffers_.emplace_back(std::move(name), Buffer<T>(std::move(value))).second;
}

template <class T>
Buffer<double> Layer<T>::register_counter(std::string name) {
  return counters_.emplace_back(std::move(name), Buffer<double>(zeros<double>({}))).second;
}

template <class T>
void Layer<T>::register_child(std::string name, std::shared_ptr<Layer> layer) {
  if (!layer) throw ValueError(this->name() + ": a layer expected, a null pointer came");
  layer->for_each("", [&](const std::string&, const Layer& added) {
    for_each("", [&](const std::string&, const Layer& present) {
      if (&added == &present)
        throw ValueError(this->name() + ": the same " + added.label() +
                         " twice; a layer keeps one forward for its backward, so each place needs a layer of its own");
    });
  });
  children_.emplace_back(std::move(name), std::move(layer));
  invalidate();
}

namespace {

std::string grouped(std::size_t number) {  // 61,697
  std::string text;
  const std::string digits = std::to_string(number);
  for (std::size_t i = 0; i < digits.size(); ++i) {
    if (i > 0 && (digits.size() - i) % 3 == 0) text += ',';
    text += digits[i];
  }
  return text;
}

template <class T>
void print(std::ostream& out, const Layer<T>& layer, const std::string& indent) {
  out << layer.name() << '(' << layer.extra_repr();
  if (!layer.children().empty()) {
    out << '\n';
    for (const auto& [name, child] : layer.children()) {
      out << indent << "  (" << name << "): ";
      print(out, *child, indent + "  ");
      out << '\n';
    }
    out << indent;
  }
  out << ')';
}

}  // namespace

template <class T>
std::ostream& operator<<(std::ostream& out, const Layer<T>& layer) {
  print(out, layer, "");
  return out << '\n' << grouped(layer.parameter_count()) << " parameters";
}

template class Layer<float>;
template class Layer<double>;
template std::ostream& operator<<(std::ostream&, const Layer<float>&);
template std::ostream& operator<<(std::ostream&, const Layer<double>&);

}  // namespace handgrad
