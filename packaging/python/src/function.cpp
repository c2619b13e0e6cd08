#include "function.hpp"

#include <nanobind/stl/string.h>

#include <algorithm>
#include <limits>

namespace handgrad::python {

namespace {

constexpr double nan = std::numeric_limits<double>::quiet_NaN();

template <class... A>
nb::object call(const nb::object& function, A&&... arguments) {
  try {
    return function(std::forward<A>(arguments)...);
  } catch (nb::python_error& error) {
    if (error.matches(PyExc_KeyboardInterrupt) || error.matches(PyExc_SystemExit)) throw Interrupted{std::move(error)};
    throw;
  }
}

/// The tensors in a list of arrays; undefined for None.
std::vector<Tensor<double>> tensors(const nb::object& list) {
  std::vector<Tensor<double>> all;
  for (const nb::handle item : list)
    all.push_back(item.is_none() ? Tensor<double>() : borrowed(nb::cast<ConstArray<double>>(item)));
  return all;
}

/// What was in memory that a function is to write anew.
double poison(const Tensor<double>& buffer) { return buffer.defined() && *buffer.data() == 0 ? 0 : nan; }

void append(const nb::object& booleans, std::vector<bool>& sides) {
  for (const nb::handle side : booleans) sides.push_back(nb::cast<bool>(side));
}

}  // namespace

Function::Function(Functions functions, const std::vector<NamedTensor<double>>& parameters,
                   std::vector<std::string> sides, bool differentiable_input,
                   std::optional<trace::Derivation> derivation)
    : functions_(std::move(functions)),
      differentiable_input_(differentiable_input),
      derivation_(std::move(derivation)) {
  for (const auto& [name, value] : parameters) parameters_.push_back(register_parameter(name, value));
  for (std::string& name : sides) sides_.push_back({std::move(name), {}, {}});
}

nb::list Function::arguments(const Tensor<double>& x) const {
  nb::list all;
  all.append(viewed(x));
  for (const Parameter<double>& parameter : parameters_) all.append(viewed(parameter.value()));
  return all;
}

Shape Function::output_shape(const Shape& input) const {
  if (made_.empty())
    throw StateError(functions_.name + ": the shape that it gives for " + input.str() + " is known after a forward");
  return made_.front().shape();
}

std::vector<SideTensor<double>> Function::side_outputs() {
  std::vector<SideTensor<double>> all;
  for (Side& side : sides_) all.push_back({side.name, side.value, &side.gradient});
  return all;
}

trace::Derivation Function::derivation(const Shape&) const {
  if (derivation_) return *derivation_;
  trace::Derivation generic;
  std::string list = "x";
  for (const auto& [name, parameter] : named_parameters()) list += ", " + name;
  generic.forward.push_back(trace::Equation::symbols("y = " + functions_.name + "(" + list + ")"));
  return generic;
}

const Tensor<double>* Function::misfit(const std::string& tensor) const {
  for (const auto& [name, gradient] : misfits_)
    if (name == tensor) return &gradient;
  return nullptr;
}

const Tensor<double>& Function::propagate(const Tensor<double>& x) {
  struct Clear {
    std::vector<Tensor<double>>& made;
    ~Clear() { made.clear(); }
  } const clear{made_};
  made_ = tensors(call(functions_.forward, arguments(x), nan));
  if (made_.size() != 1 + sides_.size())
    throw ValueError(functions_.name + ": " + std::to_string(1 + sides_.size()) + " outputs expected, " +
                     std::to_string(made_.size()) + " came");
  return Layer::propagate(x);
}

void Function::forward_into(const Tensor<double>&, Tensor<double>& y) {
  if (!(made_[0].shape() == y.shape()))
    throw ShapeError(functions_.name + ": gives shape " + made_[0].shape().str() + " now, and " + y.shape().str() +
                     " before for an input of the same shape");
  y.copy_from(made_[0]);
  for (std::size_t i = 0; i < sides_.size(); ++i) {
    sides_[i].value.reserve(made_[i + 1].shape(), Device::cpu());
    sides_[i].value.copy_from(made_[i + 1]);
  }
}

void Function::backward_into(const Tensor<double>&, const Tensor<double>&, const Tensor<double>& dy,
                             Tensor<double>& dx) {
  nb::list deltas;
  deltas.append(viewed(dy));
  for (const Side& side : sides_)
    deltas.append(viewed(side.gradient.defined() ? side.gradient : zeros<double>(side.value.shape())));
  const std::vector<Tensor<double>> gradients = tensors(call(functions_.backward, deltas, poison(dx)));
  if (gradients.size() != 1 + parameters_.size())
    throw ValueError(functions_.name + ": " + std::to_string(1 + parameters_.size()) + " gradients expected, " +
                     std::to_string(gradients.size()) + " came");
  misfits_.clear();
  const auto fits = [&](const std::string& name, const Tensor<double>& gradient, const Shape& shape) {
    if (gradient.shape() == shape) return true;
    misfits_.emplace_back(name, gradient.clone());
    return false;
  };
  if (differentiable_input_) {
    if (gradients[0].defined() && fits("input", gradients[0], dx.shape()))
      dx.copy_from(gradients[0]);
    else
      dx.fill(nan);
  }
  const auto names = named_parameters();
  for (std::size_t i = 0; i < parameters_.size(); ++i) {
    const Tensor<double>& gradient = gradients[i + 1];
    if (!gradient.defined()) continue;
    auto [sum, beta] = parameters_[i].accumulate();
    if (!fits(names[i].first, gradient, sum.shape())) {
      sum.fill(nan);
      continue;
    }
    for (std::size_t k = 0; k < sum.numel(); ++k)
      sum.data()[k] = beta == 0 ? gradient.data()[k] : sum.data()[k] + gradient.data()[k];
  }
}

void Function::kink_sides(const Tensor<double>& x, std::vector<bool>& sides) const {
  if (!functions_.kink_sides.is_none()) append(call(functions_.kink_sides, arguments(x)), sides);
}

// Losses -------------------------------------------------------------------------------------------------------------

namespace {

nb::list pair(const Tensor<double>& p, const Tensor<double>& t) {
  nb::list both;
  both.append(viewed(p));
  both.append(viewed(t));
  return both;
}

}  // namespace

void FunctionLoss::forward_into(const Tensor<double>& p, const Tensor<double>& t, Tensor<double>& value) {
  value.copy_from(tensors(call(functions_.forward, pair(p, t), nan)).at(0));
}

void FunctionLoss::backward_into(const Tensor<double>&, const Tensor<double>&, Tensor<double>& dp) {
  nb::list deltas;
  deltas.append(viewed(ones<double>({})));
  const Tensor<double> gradient = tensors(call(functions_.backward, deltas, poison(dp))).at(0);
  misfit_ = gradient.shape() == dp.shape() ? Tensor<double>() : gradient.clone();
  if (misfit_.defined())
    dp.fill(nan);
  else
    dp.copy_from(gradient);
}

void FunctionLoss::kink_sides(const Tensor<double>& p, const Tensor<double>& t, std::vector<bool>& sides) const {
  if (!functions_.kink_sides.is_none()) append(call(functions_.kink_sides, pair(p, t)), sides);
}

}  // namespace handgrad::python
