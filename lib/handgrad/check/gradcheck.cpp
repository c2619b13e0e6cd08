#include "handgrad/check/gradcheck.hpp"

#include <algorithm>
#include <cmath>
#include <functional>
#include <limits>
#include <numeric>

#include "handgrad/base/random.hpp"
#include "handgrad/check/differences.hpp"
#include "handgrad/containers/sequential.hpp"

namespace handgrad {

using detail::Values;
using detail::Variable;

namespace {

constexpr double nan = std::numeric_limits<double>::quiet_NaN();
using Terms = std::function<Values(std::vector<bool>& sides)>;

/// Where S is smooth, the slopes to the left and to the right differ by h·S″: a tenth of it for a tenth of h.
void look_for_kink(const Variable& variable, std::size_t index, double h, GradientProbes& probes) {
  const auto [left, right] = detail::one_sided_slopes(variable, index, h);
  const auto [nearer_left, nearer_right] = detail::one_sided_slopes(variable, index, h / 10);
  const double jump = right - left, nearer = nearer_right - nearer_left;
  probes.slope_left = left;
  probes.slope_right = right;
  probes.kink = std::abs(jump) > 1e-5 * std::max({std::abs(left), std::abs(right), 1e-3}) &&
                std::abs(10 * nearer - jump) > 0.3 * std::abs(jump);
}

/// What the diagnosis wants to know about the first tensor that fails. `of_ones` evaluates S with δ = 1.
GradientProbes probe(const Variable& variable, const TensorReport& tensor, const GradcheckOptions& options,
                     const Terms& of_ones) {
  GradientProbes probes;
  if (!variable.unpoisoned.empty()) probes.unpoisoned = Tensor<double>(tensor.shape, variable.unpoisoned);
  if (of_ones) {
    Variable ones = variable;
    ones.terms = of_ones;
    probes.numeric_of_ones = detail::numeric_gradient(ones, options.step);
  }
  if (!tensor.worst.empty()) look_for_kink(variable, tensor.worst.front().index, options.step, probes);
  return probes;
}

GradientReport run(const std::string& subject, const std::vector<Variable>& variables, const GradientStep& step,
                   const GradcheckOptions& options, double tolerance, const Terms& of_ones = {}) {
  GradientReport report{subject, options.tolerance.value_or(tolerance), {}, {}};
  bool failed = false;
  for (const Variable& variable : variables) {
    TensorReport& tensor = report.tensors.emplace_back(detail::check_variable(variable, options, report.tolerance));
    if (tensor.verdict == Verdict::Pass) continue;
    tensor.step = step;
    if (tensor.verdict == Verdict::Fail && !failed) tensor.probes = probe(variable, tensor, options, of_ones);
    failed = failed || tensor.verdict == Verdict::Fail;
  }
  return report;
}

/// got = noise + times·gradient, up to rounding?
bool is_sum(const Values& got, const Values& noise, double times, const Values& gradient) {
  for (std::size_t i = 0; i < got.size(); ++i) {
    const double expected = noise[i] + times * gradient[i];
    if (std::abs(got[i] - expected) > 1e-9 * (1 + std::abs(expected))) return false;
  }
  return true;
}

bool finite(const Values& values) {
  return std::all_of(values.begin(), values.end(), [](double v) { return std::isfinite(v); });
}

/// Keeps a layer as it was: state, what it asks for, its random draws.
class Restore {
 public:
  explicit Restore(Layer<double>& layer)
      : layer_(layer), state_(layer.state_dict()), input_grad_(layer.requires_input_grad()) {
    layer.requires_input_grad(true);
    layer.repeat_random(true);
  }
  ~Restore() {
    layer_.load_state_dict(state_);
    layer_.requires_input_grad(input_grad_);
    layer_.repeat_random(false);
    layer_.zero_grad();
  }
  Restore(const Restore&) = delete;

 private:
  Layer<double>& layer_;
  std::vector<NamedTensor<double>> state_;
  bool input_grad_;
};

/// The gradients of all parameters and of the input by the layer's own backward, with poisoned buffers.
std::vector<Variable> collect(Layer<double>& layer, const Tensor<double>& x, const GradcheckOptions& options,
                              const std::function<void()>& forward, const std::function<Tensor<double>()>& backward,
                              const Terms& terms) {
  std::vector<NamedParameter<double>> parameters = layer.named_parameters();
  const auto onto = [&](double content) {  // buffers that a backward is to overwrite
    layer.fill_buffers(content);
    for (auto& [name, parameter] : parameters) {
      parameter.accumulate().first.fill(content);
      parameter.zero_grad();
    }
    forward();
    std::vector<Values> gradients{backward().to_vector()};
    for (auto& [name, parameter] : parameters) gradients.push_back(parameter.grad().to_vector());
    return gradients;
  };
  forward();
  backward();  // once, so that there are buffers to fill
  const std::vector<Values> first = onto(nan);
  const bool written = std::all_of(first.begin(), first.end(), finite);
  const std::vector<Values> unpoisoned = written ? std::vector<Values>(first.size()) : onto(0);

  Generator noise(options.seed + 1);
  std::vector<Values> before, once;
  for (auto& [name, parameter] : parameters) {
    Tensor<double>& grad = parameter.accumulate().first;
    normal_(grad, 0, 1, noise);  // to be added to:
    before.push_back(grad.to_vector());
  }
  forward();
  backward();
  for (auto& [name, parameter] : parameters) once.push_back(parameter.grad().to_vector());
  const Values dx_again = backward().to_vector();  // with no forward in between
  std::vector<Variable> variables;
  for (std::size_t i = parameters.size(); i-- > 0;) {
    auto& [name, parameter] = parameters[i];
    const Values& gradient = first[i + 1];
    const bool adds = is_sum(once[i], before[i], 1, gradient);
    const bool repeats = is_sum(parameter.grad().to_vector(), before[i], 2, gradient);
    variables.push_back({name, parameter.value(), gradient, terms, adds, repeats, unpoisoned[i + 1]});
  }
  const bool repeats = is_sum(dx_again, Values(dx_again.size()), 1, first[0]);
  if (options.input) variables.push_back({"input", x, first[0], terms, true, repeats, unpoisoned[0]});
  return variables;
}

Values projected(const Tensor<double>& y, const Values& R) {
  Values terms = y.to_vector();
  for (std::size_t i = 0; i < terms.size(); ++i) terms[i] *= R[i];
  return terms;
}

std::vector<NamedTensor<double>> values_of(const Layer<double>& layer) {
  std::vector<NamedTensor<double>> values;
  for (const auto& [name, parameter] : layer.named_parameters()) values.emplace_back(name, parameter.value().clone());
  return values;
}

std::size_t rows_of(const Tensor<double>& x) { return x.rank() < 2 ? 1 : x.shape().rows(); }

/// The layers of a Sequential, each checked on its own from the last to the first; any other layer as it is.
void check_parts(Layer<double>& layer, const Tensor<double>& x, const std::string& place,
                 const GradcheckOptions& options, std::vector<GradientReport>& parts) {
  const auto* sequential = dynamic_cast<const Sequential<double>*>(&layer);
  if (!sequential) {
    parts.push_back(check_gradients(layer, x, options));
    parts.back().subject = place + layer.label();
    return;
  }
  std::vector<Tensor<double>> inputs{x};
  for (std::size_t i = 0; i < sequential->size(); ++i)
    inputs.push_back((*sequential)[i].forward(inputs.back()).clone());
  for (std::size_t i = sequential->size(); i-- > 0;)
    check_parts((*sequential)[i], inputs[i], (place.empty() ? "layer " : place) + std::to_string(i) + ", ", options,
                parts);
}

/// Rows 1, 2, …, 0.
Tensor<double> rotated(const Tensor<double>& y) {
  Values elements = y.to_vector();
  std::rotate(elements.begin(), elements.begin() + static_cast<std::ptrdiff_t>(elements.size() / y.size(0)),
              elements.end());
  return Tensor<double>(y.shape(), elements);
}

/// Does the loss take each prediction with its own target? Compares it with what it gives row by row, and with what it
/// gives when every row of the predictions meets every row of the targets.
void probe_pairing(Loss<double>& loss, const Tensor<double>& p, const Tensor<double>& y,
                   const GradcheckOptions& options, Variable variable, GradientProbes& probes) {
  const std::size_t rows = p.rank() == 0 ? 1 : p.size(0);
  if (rows < 2 || rows > 100 || y.rank() == 0 || y.size(0) != rows || loss.reduction() == Reduction::None) return;
  const double share = 1 / static_cast<double>(rows);
  probes.value = loss.forward(p, y).item();
  const double other = loss.forward(p, rotated(y)).item();
  probes.pairs_everything = std::abs(other - probes.value) <= 1e-12 * std::abs(probes.value) && !(rotated(y) == y);

  variable.terms = [&](std::vector<bool>&) {
    Values terms;
    for (std::size_t i = 0; i < rows; ++i)
      terms.push_back((loss.reduction() == Reduction::Mean ? share : 1) *
                      loss.forward(p.rows(i, i + 1).clone(), y.rows(i, i + 1).clone()).item());
    return terms;
  };
  std::vector<bool> sides;
  const Values terms = variable.terms(sides);
  probes.value_by_rows = std::accumulate(terms.begin(), terms.end(), 0.0);
  probes.numeric_by_rows = detail::numeric_gradient(variable, options.step);

  variable.terms = [&](std::vector<bool>&) {
    Values all;
    Tensor<double> targets = y;
    for (std::size_t i = 0; i < rows; ++i, targets = rotated(targets))
      all.push_back(share * loss.forward(p, targets).item());
    return all;
  };
  probes.numeric_of_all_pairs = detail::numeric_gradient(variable, options.step);
}

}  // namespace

GradientReport check_gradients(Layer<double>& layer, const Tensor<double>& x, const GradcheckOptions& options) {
  const Restore restore(layer);
  const Tensor<double> own = x.clone();  // to be moved about
  Generator generator(options.seed);
  const Tensor<double> y = layer.forward(own).clone();
  Tensor<double> R = Tensor<double>::empty(y.shape());
  normal_(R, 0, 1, generator);
  const Tensor<double> delta = R.to(own.device());
  const Values weights = R.to_vector(), ones(weights.size(), 1.0);

  const auto terms_with = [&](const Values& factors) -> Terms {
    return [&](std::vector<bool>& sides) {
      Values terms = projected(layer.forward(own), factors);
      layer.append_kink_sides(sides);
      return terms;
    };
  };
  const auto forward = [&] { layer.forward(own); };
  const auto backward = [&] { return layer.backward(delta).clone(); };
  GradientReport report = run(layer.label(), collect(layer, own, options, forward, backward, terms_with(weights)),
                              {x, y, delta, {}, values_of(layer), rows_of(x)}, options, 1e-7, terms_with(ones));
  if (report.verdict() == Verdict::Fail && dynamic_cast<Sequential<double>*>(&layer))
    check_parts(layer, x.clone(), "", options, report.parts);
  return report;
}

GradientReport check_gradients(Loss<double>& loss, const Tensor<double>& prediction, const Tensor<double>& target,
                               const GradcheckOptions& options) {
  const Tensor<double> p = prediction.clone();
  Generator generator(options.seed);
  const Tensor<double> value = loss.forward(p, target).clone();
  Tensor<double> R = Tensor<double>::empty(value.shape());
  normal_(R, 0, 1, generator);
  const bool scalar = loss.reduction() != Reduction::None;
  if (scalar) R.fill(1);
  const Tensor<double> upstream = R.to(p.device());
  const Values weights = R.to_vector(), ones(weights.size(), 1.0);

  const auto terms_with = [&](const Values& factors) -> Terms {
    return [&](std::vector<bool>& sides) {
      Values terms = projected(loss.forward(p, target), factors);
      loss.append_kink_sides(sides);
      return terms;
    };
  };
  const auto onto = [&](double content) {
    loss.fill_buffers(content);
    loss.forward(p, target);
    return (scalar ? loss.backward() : loss.backward(upstream)).to_vector();
  };
  onto(0);  // once, so that there are buffers to fill
  Variable variable{"prediction", p, onto(nan), terms_with(weights), true, true, {}};
  if (!finite(variable.analytic)) variable.unpoisoned = onto(0);
  const GradientStep step{prediction, value, scalar ? Tensor<double>() : upstream, target, {}, rows_of(p)};
  GradientReport report = run(loss.name(), {variable}, step, options, 1e-7, scalar ? Terms() : terms_with(ones));
  TensorReport& tensor = report.tensors[0];
  const bool odd_shapes = !(p.shape() == target.shape()) && p.numel() == target.numel();  // (N, 1) against (N)
  if (tensor.verdict == Verdict::Fail || odd_shapes) probe_pairing(loss, p, target, options, variable, tensor.probes);
  if (tensor.verdict == Verdict::Pass && odd_shapes && tensor.probes.pairs_everything) {
    tensor.verdict = Verdict::Fail;
    tensor.reason = "the loss does not depend on which target belongs to which prediction";
  }
  return report;
}

GradientReport check_gradients(Layer<double>& network, Loss<double>& loss, const Tensor<double>& x,
                               const Tensor<double>& y, const GradcheckOptions& options) {
  if (loss.reduction() == Reduction::None)
    throw ValueError("check_gradients: a network is checked with a loss that is one number: Reduction::Mean or Sum");
  const Restore restore(network);
  const Tensor<double> own = x.clone();
  const Terms terms = [&](std::vector<bool>& sides) {
    const double value = loss.forward(network.forward(own), y).item();
    network.append_kink_sides(sides);
    loss.append_kink_sides(sides);
    return Values{value};
  };
  const auto forward = [&] { loss.forward(network.forward(own), y); };
  const auto backward = [&] { return network.backward(loss.backward()).clone(); };
  const GradientStep step{x, {}, {}, {}, values_of(network), rows_of(x)};
  GradientReport report = run(network.name() + " with " + loss.name(),
                              collect(network, own, options, forward, backward, terms), step, options, 1e-6);
  if (report.verdict() == Verdict::Fail) {
    GradcheckOptions same = options;
    same.tolerance = report.tolerance;
    report.parts.push_back(check_gradients(loss, network.forward(own).clone(), y, same));
    check_parts(network, x.clone(), "", same, report.parts);
  }
  return report;
}

GradientReport check_gradients(const std::string& subject, const std::vector<FunctionGradient>& gradients,
                               const GradcheckOptions& options) {
  GradientReport report{subject, options.tolerance.value_or(1e-7), {}, {}};
  bool failed = false;
  for (const FunctionGradient& gradient : gradients) {
    const Tensor<double> own = gradient.value.clone();
    const Terms terms = [&](std::vector<bool>& sides) {
      if (gradient.kink_sides) sides = gradient.kink_sides(own);
      return gradient.forward(own).to_vector();
    };
    const bool right_shape = gradient.gradient.shape() == own.shape();
    const Variable variable{gradient.name,
                            own,
                            right_shape ? gradient.gradient.to_vector() : Values(own.numel(), nan),
                            terms,
                            gradient.accumulates,
                            true,
                            {}};
    TensorReport tensor = detail::check_variable(variable, options, report.tolerance);
    tensor.mistakes = gradient.mistakes;
    tensor.names_gradient = true;
    if (!right_shape) {
      tensor.analytic = gradient.gradient;
      tensor.worst.clear();
      tensor.reason = "has shape " + gradient.gradient.shape().str() + ", the shape " + own.shape().str() +
                      " of what it is the gradient of expected";
    }
    if (tensor.verdict != Verdict::Pass) tensor.step = gradient.step;
    if (tensor.verdict == Verdict::Fail && !failed) tensor.probes = probe(variable, tensor, options, {});
    failed = failed || tensor.verdict == Verdict::Fail;
    report.tensors.push_back(std::move(tensor));
  }
  return report;
}

}  // namespace handgrad
