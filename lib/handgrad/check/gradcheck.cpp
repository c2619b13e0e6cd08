#include "handgrad/check/gradcheck.hpp"

#include <algorithm>
#include <cmath>
#include <functional>
#include <limits>
#include <numeric>
#include <optional>

#include "handgrad/base/random.hpp"
#include "handgrad/check/subject.hpp"
#include "handgrad/check/verdict.hpp"
#include "handgrad/containers/sequential.hpp"

namespace handgrad {

using detail::all_finite;
using detail::Terms;
using detail::Values;
using detail::Variable;

namespace {

constexpr double nan = std::numeric_limits<double>::quiet_NaN();

/// Where S is smooth, the left and right slopes differ by h·S″, so by an eighth for an eighth of h.
void look_for_kink(const Variable& variable, std::size_t index, GradientProbes& probes) {
  detail::Differencer S(variable.value, variable.terms);
  const detail::Estimate estimate = S.estimate({index}, {});
  if (!estimate.usable() || estimate.one_sided) return;
  const double h = estimate.step;
  const auto [left, right] = S.slopes(index, h);
  const auto [nearer_left, nearer_right] = S.slopes(index, h / 8);
  const double jump = right - left, nearer = nearer_right - nearer_left;
  probes.slope_left = left;
  probes.slope_right = right;
  probes.kink = std::abs(jump) > 1e-5 * std::max(std::abs(left), std::abs(right)) &&
                std::abs(jump) > 1000 * estimate.uncertainty && std::abs(8 * nearer - jump) > 0.3 * std::abs(jump);
}

/// The numeric gradient, at the compared entries (at most `most`).
Tensor<double> numeric_gradient(const Variable& variable, const Terms& terms, const TensorReport& tensor,
                                const GradcheckOptions& options, std::size_t most) {
  detail::Differencer S(variable.value, terms);
  const Values compared = tensor.numeric.to_vector();
  Values numeric(compared.size(), nan);
  std::size_t left = std::max<std::size_t>(most, 1);
  for (std::size_t i = 0; i < numeric.size() && left > 0; ++i)
    if (!std::isnan(compared[i])) numeric[i] = S.quick({i}, S.step({i}, options.step)), --left;
  return Tensor<double>(variable.value.shape(), numeric);
}
Tensor<double> numeric_gradient(const Variable& variable, const Terms& terms, const TensorReport& tensor,
                                const GradcheckOptions& options) {
  return numeric_gradient(variable, terms, tensor, options, options.max_entries);
}

/// Gives tensors other values while it lives.
class Moved {
 public:
  Moved() = default;
  /// Reorders each parameter's values, so that they stay in its domain; scales down a single one.
  explicit Moved(const Layer<double>& layer) {
    for (const auto& [name, parameter] : layer.named_parameters()) {
      Values v = parameter.value().to_vector();
      if (v.size() == 1)
        v[0] *= 0.75;
      else if (!v.empty())
        std::rotate(v.begin(), v.begin() + 1, v.end());
      put(parameter.value(), v);
    }
  }
  void put(Tensor<double> tensor, const Values& values) {
    kept_.emplace_back(tensor, tensor.to_vector());
    tensor.copy_from(Tensor<double>(tensor.shape(), values));
  }
  Moved(const Moved&) = delete;
  ~Moved() {
    while (!kept_.empty()) {
      auto& [tensor, values] = kept_.back();
      tensor.copy_from(Tensor<double>(tensor.shape(), values));
      kept_.pop_back();
    }
  }

 private:
  std::vector<std::pair<Tensor<double>, Values>> kept_;
};

/// The first forward (go_first): its x, and the layer, whose parameters were moved.
struct First {
  Tensor<double> x;
  const Layer<double>* layer = nullptr;
};

/// Whether the gradient is right where the first forward was, and wrong here and elsewhere.
bool of_first_forward(const Variable& variable, const TensorReport& tensor, const GradcheckOptions& options,
                      const First& first) {
  if (!variable.again || !variable.input.defined() || !first.x.defined()) return false;
  const Values here = variable.input.to_vector(), numeric = tensor.numeric.to_vector(), went = first.x.to_vector();
  if (here.size() < 3 || went.size() < here.size()) return false;
  double largest = 0;
  for (const double n : numeric) largest = std::max(largest, std::isnan(n) ? 0 : std::abs(n));
  // The distance between backward and differences there, relative to the largest entry.
  const auto gap_at = [&](const Values& x, const Layer<double>* layer) {
    Moved moved;
    moved.put(variable.input, x);
    std::optional<Moved> parameters;
    if (layer) parameters.emplace(*layer);
    const Values analytic = variable.again(),
                 differences = numeric_gradient(variable, variable.terms, tensor, options, 50).to_vector();
    double gap = 0, top = 0;
    for (std::size_t i = 0; i < differences.size() && i < analytic.size(); ++i) {
      if (std::isnan(differences[i])) continue;
      gap = std::max(gap, std::abs(analytic[i] - differences[i]));
      top = std::max(top, std::abs(differences[i]));
    }
    return top > 1e-3 * largest ? gap / top : nan;
  };
  const Values there(went.begin(), went.begin() + static_cast<std::ptrdiff_t>(here.size()));
  Values elsewhere = here;
  std::rotate(elsewhere.begin(), elsewhere.begin() + 2, elsewhere.end());
  try {
    if (!(gap_at(here, nullptr) > 1e-4)) return false;
    for (const Layer<double>* layer : {static_cast<const Layer<double>*>(nullptr), first.layer})
      if (gap_at(there, layer) <= 1e-6) return gap_at(elsewhere, nullptr) > 1e-4;
  } catch (const std::exception&) {  // it cannot go in there
  }
  return false;
}

/// What the diagnosis needs to know about the first failing tensor. `of_ones` evaluates S with δ = 1.
GradientProbes probe(const Variable& variable, const TensorReport& tensor, const GradcheckOptions& options,
                     const Terms& of_ones, const First& first) {
  GradientProbes probes;
  if (!variable.unpoisoned.empty()) probes.unpoisoned = Tensor<double>(tensor.shape, variable.unpoisoned);
  if (tensor.worst.empty()) return probes;
  if (of_ones) probes.numeric_of_ones = numeric_gradient(variable, of_ones, tensor, options);
  look_for_kink(variable, tensor.worst.front().index, probes);
  probes.of_first_x = of_first_forward(variable, tensor, options, first);
  return probes;
}

GradientReport run(const std::string& subject, const std::vector<Variable>& variables, const GradientStep& step,
                   const GradcheckOptions& options, double tolerance, const First& first, const Terms& of_ones = {}) {
  GradientReport report{subject, tolerance, {}, {}};
  bool failed = false;
  for (const Variable& variable : variables) {
    TensorReport& tensor = report.tensors.emplace_back(detail::check_variable(variable, options, report.tolerance));
    if (tensor.verdict == Verdict::Pass) continue;
    tensor.step = step;
    if (tensor.verdict == Verdict::Fail && !failed) tensor.probes = probe(variable, tensor, options, of_ones, first);
    failed = failed || tensor.verdict == Verdict::Fail;
  }
  return report;
}

Values projected(const Tensor<double>& y, const Values& R) {
  Values terms = y.to_vector();
  for (std::size_t i = 0; i < terms.size(); ++i) terms[i] *= R[i];
  return terms;
}

/// Runs a forward on other values and with other parameters first, to expose what is kept of a first forward, or of its
/// size. Returns its x; undefined if the layer refuses all of them.
Tensor<double> go_first(const Layer<double>* layer, const Tensor<double>& x, bool rows,
                        const std::function<void(const Tensor<double>& other)>& forward) {
  for (const bool moved : {true, false})
    for (const bool by_rows : {rows, true}) {
      try {
        std::optional<Moved> parameters;
        if (layer && moved) parameters.emplace(*layer);
        Tensor<double> other = detail::other_batch(x, by_rows);
        forward(other);
        return other;
      } catch (const std::exception&) {
      }
    }
  return {};
}

std::vector<NamedTensor<double>> values_of(const Layer<double>& layer) {
  std::vector<NamedTensor<double>> values;
  for (const auto& [name, parameter] : layer.named_parameters()) values.emplace_back(name, parameter.value().clone());
  return values;
}

std::size_t rows_of(const Tensor<double>& x) { return x.rank() < 2 ? 1 : x.shape().rows(); }

GradientReport check_layer(Layer<double>& layer, const Tensor<double>& x, const Tensor<double>& earlier,
                           const GradcheckOptions& options);

/// Checks the layers of a Sequential one by one, from last to first; any other layer as a whole. `first` is the x of
/// the first forward.
void check_parts(Layer<double>& layer, const Tensor<double>& x, const Tensor<double>& first, const std::string& place,
                 const GradcheckOptions& options, std::vector<GradientReport>& parts) {
  const auto* sequential = dynamic_cast<const Sequential<double>*>(&layer);
  if (!sequential) {
    parts.push_back(check_layer(layer, x, first, options));
    parts.back().subject = place + layer.label();
    return;
  }
  const auto all = [&](const Tensor<double>& in) {
    std::vector<Tensor<double>> inputs{in};
    for (std::size_t i = 0; i < sequential->size(); ++i)
      inputs.push_back((*sequential)[i].forward(inputs.back()).clone());
    return inputs;
  };
  std::vector<Tensor<double>> firsts(sequential->size() + 1);
  if (first.defined()) {
    const Moved parameters(layer);
    firsts = all(first);
  }
  const std::vector<Tensor<double>> inputs = all(x);
  for (std::size_t i = sequential->size(); i-- > 0;)
    check_parts((*sequential)[i], inputs[i], firsts[i], (place.empty() ? "layer " : place) + std::to_string(i) + ", ",
                options, parts);
}

/// The rows in the order 1, 2, …, 0.
Tensor<double> rotated(const Tensor<double>& t) {
  Values elements = t.to_vector();
  std::rotate(elements.begin(), elements.begin() + static_cast<std::ptrdiff_t>(elements.size() / t.size(0)),
              elements.end());
  return Tensor<double>(t.shape(), elements);
}

/// Whether the loss pairs each prediction with its own target: compares it with its value row by row, and over all
/// pairs of predictions and targets.
void probe_pairing(Loss<double>& loss, const Tensor<double>& p, const Tensor<double>& t,
                   const GradcheckOptions& options, const Variable& variable, TensorReport& tensor) {
  GradientProbes& probes = tensor.probes;
  const std::size_t rows = p.rank() == 0 ? 1 : p.size(0);
  if (rows < 2 || rows > 100 || t.rank() == 0 || t.size(0) != rows || loss.reduction() == Reduction::None) return;
  const double share = 1 / static_cast<double>(rows);
  probes.value = loss.forward(p, t).item();
  const double other = loss.forward(p, rotated(t)).item();
  probes.pairs_everything = std::abs(other - probes.value) <= 1e-12 * std::abs(probes.value) && !(rotated(t) == t);

  const Terms by_rows = [&](std::vector<bool>&) {
    Values terms;
    for (std::size_t i = 0; i < rows; ++i)
      terms.push_back((loss.reduction() == Reduction::Mean ? share : 1) *
                      loss.forward(p.rows(i, i + 1).clone(), t.rows(i, i + 1).clone()).item());
    return terms;
  };
  std::vector<bool> sides;
  const Values terms = by_rows(sides);
  probes.value_by_rows = std::accumulate(terms.begin(), terms.end(), 0.0);
  probes.numeric_by_rows = numeric_gradient(variable, by_rows, tensor, options);

  const Terms of_all_pairs = [&](std::vector<bool>&) {
    Values all;
    Tensor<double> targets = t;
    for (std::size_t i = 0; i < rows; ++i, targets = rotated(targets))
      all.push_back(share * loss.forward(p, targets).item());
    return all;
  };
  probes.numeric_of_all_pairs = numeric_gradient(variable, of_all_pairs, tensor, options);
}

GradientReport check_layer(Layer<double>& layer, const Tensor<double>& x, const Tensor<double>& earlier,
                           const GradcheckOptions& options) {
  const detail::Restore restore(layer);
  const double tolerance = options.tolerance.value_or(1e-7);
  const bool with_input = options.input && restore.differentiable_input();
  const Tensor<double> own = x.clone();  // a copy to perturb
  Tensor<double> first = go_first(&layer, own, !with_input, [&](const Tensor<double>& other) { layer.forward(other); });
  if (earlier.defined()) first = earlier;
  const Tensor<double> y = layer.forward(own).clone();
  if (const auto found = detail::compare_forwards(y, layer.forward(own))) {
    GradientReport report = detail::not_repeatable(layer.label(), tolerance, y, *found);
    if (dynamic_cast<Sequential<double>*>(&layer)) check_parts(layer, x.clone(), first, "", options, report.parts);
    return report;
  }
  Generator generator(options.seed);
  Tensor<double> R = Tensor<double>::empty(y.shape());
  normal_(R, 0, 1, generator);
  Tensor<double> delta = R.to(own.device());
  const Values weights = R.to_vector(), ones(weights.size(), 1.0);

  // Each output beside y enters S with its own R.
  std::vector<Tensor<double>> side_deltas;
  for (const SideTensor<double>& side : layer.side_outputs()) {
    Tensor<double> of_side = Tensor<double>::empty(side.value.shape());
    side_deltas.push_back(normal_(of_side, 0, 1, generator).to(own.device()));
  }
  const auto terms_with = [&](const Values& factors) -> Terms {
    return [&](std::vector<bool>& sides) {
      Values terms = projected(layer.forward(own), factors);
      const auto outputs = layer.side_outputs();
      for (std::size_t i = 0; i < side_deltas.size(); ++i)
        for (const double term : projected(outputs[i].value, &factors == &ones ? Values(outputs[i].value.numel(), 1.0)
                                                                               : side_deltas[i].to_vector()))
          terms.push_back(term);
      detail::append_kink_sides(layer, sides);
      return terms;
    };
  };
  const detail::Step step{[&] { layer.forward(own); }, [&] { return delta; }, terms_with(weights), side_deltas};
  std::vector<NamedTensor<double>> sides;
  for (const SideTensor<double>& side : layer.side_inputs()) sides.emplace_back(side.name, side.value.clone());
  const auto outputs = layer.side_outputs();
  for (std::size_t i = 0; i < outputs.size(); ++i) sides.emplace_back("δ of " + outputs[i].name, side_deltas[i]);
  GradientReport report = run(layer.label(), detail::collect(layer, own, with_input, options, step),
                              {x, y, delta, {}, values_of(layer), rows_of(x), sides}, options, tolerance,
                              {first, &layer}, terms_with(ones));
  if (!restore.differentiable_input())
    report.note = "its input has no gradient, the layer says: indices, or not wanted";
  if (report.verdict() == Verdict::Fail && dynamic_cast<Sequential<double>*>(&layer))
    check_parts(layer, x.clone(), first, "", options, report.parts);
  return report;
}

GradientReport check_loss(Loss<double>& loss, const Tensor<double>& prediction, const Tensor<double>& target,
                          const Tensor<double>& earlier, const GradcheckOptions& options) {
  const double tolerance = options.tolerance.value_or(1e-7);
  const Tensor<double> p = prediction.clone();
  Tensor<double> first = go_first(
      nullptr, p, true, [&](const Tensor<double>& other) { loss.forward(other, detail::other_batch(target, true)); });
  if (earlier.defined()) first = earlier;
  const Tensor<double> value = loss.forward(p, target).clone();
  if (const auto found = detail::compare_forwards(value, loss.forward(p, target)))
    return detail::not_repeatable(loss.name(), tolerance, value, *found);
  Generator generator(options.seed);
  Tensor<double> R = Tensor<double>::empty(value.shape());
  normal_(R, 0, 1, generator);
  const bool scalar = loss.reduction() != Reduction::None;
  if (scalar) R.fill(1);
  const Tensor<double> upstream = R.to(p.device());
  const Values weights = R.to_vector(), ones(weights.size(), 1.0);

  const auto terms_with = [&](const Values& factors) -> Terms {
    return [&](std::vector<bool>& sides) {
      Values terms = projected(loss.forward(p, target), factors);
      detail::append_kink_sides(loss, sides);
      return terms;
    };
  };
  const auto backward = [&] { return (scalar ? loss.backward() : loss.backward(upstream)).to_vector(); };
  const auto onto = [&](double content) {
    detail::fill_buffers(loss, content);
    loss.forward(p, target);
    return backward();
  };
  onto(0);  // once, so that the buffers exist
  Variable variable;
  variable.name = "prediction";
  variable.value = p;
  variable.analytic = onto(nan);
  variable.terms = terms_with(weights);
  if (!all_finite(variable.analytic)) variable.unpoisoned = onto(0);
  variable.noise = detail::lazy_noise(
      {p},
      [&] {
        detail::Evaluation e;
        detail::fill_buffers(loss, 0);
        e.terms = variable.terms(e.sides);
        e.gradients = {backward()};
        return e;
      },
      options.seed + 2);
  variable.again = [&] { return onto(0); };
  variable.input = p;
  const GradientStep step{prediction, value, scalar ? Tensor<double>() : upstream, target, {}, rows_of(p)};
  GradientReport report =
      run(loss.name(), {variable}, step, options, tolerance, {first}, scalar ? Terms() : terms_with(ones));
  TensorReport& tensor = report.tensors[0];
  const bool odd_shapes = !(p.shape() == target.shape()) && p.numel() == target.numel();  // (N, 1) against (N)
  if (tensor.verdict == Verdict::Fail || odd_shapes) probe_pairing(loss, p, target, options, variable, tensor);
  if (tensor.verdict == Verdict::Pass && odd_shapes && tensor.probes.pairs_everything) {
    tensor.verdict = Verdict::Fail;
    tensor.reason = "the loss does not depend on which target belongs to which prediction";
  }
  return report;
}

}  // namespace

GradientReport check_gradients(Layer<double>& layer, const Tensor<double>& x, const GradcheckOptions& options) {
  return check_layer(layer, x, {}, options);
}

GradientReport check_gradients(Loss<double>& loss, const Tensor<double>& prediction, const Tensor<double>& target,
                               const GradcheckOptions& options) {
  return check_loss(loss, prediction, target, {}, options);
}

GradientReport check_gradients(Layer<double>& network, Loss<double>& loss, const Tensor<double>& x,
                               const Tensor<double>& t, const GradcheckOptions& options) {
  if (loss.reduction() == Reduction::None)
    throw ValueError("check_gradients: a network is checked with a loss that is one number: Reduction::Mean or Sum");
  const detail::Restore restore(network);
  const double tolerance = options.tolerance.value_or(1e-6);
  const bool with_input = options.input && restore.differentiable_input();
  const std::string subject = network.name() + " with " + loss.name();
  const Tensor<double> own = x.clone();
  const Tensor<double> first = go_first(&network, own, !with_input, [&](const Tensor<double>& other) {
    const Tensor<double>& p = network.forward(other);
    loss.forward(p, detail::other_batch(t, true));
  });
  const auto parts = [&](GradientReport& report) {
    GradcheckOptions same = options;
    same.tolerance = report.tolerance;
    Tensor<double> first_output;
    if (first.defined()) {
      const Moved parameters(network);
      first_output = network.forward(first).clone();
    }
    report.parts.push_back(check_loss(loss, network.forward(own).clone(), t, first_output, same));
    check_parts(network, x.clone(), first, "", same, report.parts);
  };
  const Tensor<double> output = network.forward(own).clone();
  if (const auto found = detail::compare_forwards(output, network.forward(own))) {
    GradientReport report = detail::not_repeatable(subject, tolerance, output, *found);
    parts(report);
    return report;
  }
  const Terms terms = [&](std::vector<bool>& sides) {
    const double value = loss.forward(network.forward(own), t).item();
    detail::append_kink_sides(network, sides);
    detail::append_kink_sides(loss, sides);
    return Values{value};
  };
  const detail::Step one{[&] { loss.forward(network.forward(own), t); }, [&] { return loss.backward(); }, terms};
  const GradientStep step{x, {}, {}, {}, values_of(network), rows_of(x)};
  GradientReport report = run(subject, detail::collect(network, own, with_input, options, one), step, options,
                              tolerance, {first, &network});
  if (report.verdict() == Verdict::Fail) parts(report);
  return report;
}

GradientReport check_gradients(const std::string& subject, const std::vector<FunctionGradient>& gradients,
                               const GradcheckOptions& options) {
  GradientReport report{subject, options.tolerance.value_or(1e-7), {}, {}};
  bool failed = false;
  for (const FunctionGradient& gradient : gradients) {
    const Tensor<double> own = gradient.value.clone();
    const bool right_shape = gradient.gradient.shape() == own.shape();
    Variable variable;
    variable.name = gradient.name;
    variable.value = own;
    variable.analytic = right_shape ? gradient.gradient.to_vector() : Values(own.numel(), nan);
    variable.terms = [&](std::vector<bool>& sides) {
      if (gradient.kink_sides) sides = gradient.kink_sides(own);
      return gradient.forward(own).to_vector();
    };
    variable.accumulates = gradient.accumulates;
    variable.noise = detail::lazy_noise(
        {own},
        [&] {
          detail::Evaluation e;
          e.terms = variable.terms(e.sides);
          return e;
        },
        options.seed + 2);
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
    if (tensor.verdict == Verdict::Fail && !failed) tensor.probes = probe(variable, tensor, options, {}, {});
    failed = failed || tensor.verdict == Verdict::Fail;
    report.tensors.push_back(std::move(tensor));
  }
  return report;
}

}  // namespace handgrad
