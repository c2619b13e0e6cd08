#include "handgrad/check/subject.hpp"

#include <algorithm>
#include <cmath>
#include <exception>
#include <limits>
#include <memory>

#include "handgrad/base/format.hpp"
#include "handgrad/base/random.hpp"
#include "handgrad/containers/sequential.hpp"

namespace handgrad::detail {

namespace {

constexpr double nan = std::numeric_limits<double>::quiet_NaN();

double largest(const Values& values) {
  double top = 0;
  for (const double v : values) top = std::max(top, std::abs(v));
  return top;
}

/// The largest gap relative to the largest value; empty if the two agree up to rounding.
std::optional<double> gap_of(const Values& got, const Values& expected) {
  const double scale = std::max(largest(got), largest(expected));
  double gap = 0;
  for (std::size_t i = 0; i < got.size(); ++i) gap = std::max(gap, std::abs(got[i] - expected[i]));
  if (gap <= 1e-9 * scale) return {};
  return gap / scale;
}

std::string percent(double share) { return formatted("%.2g %%", 100 * share); }

}  // namespace

void append_kink_sides(const Layer<double>& layer, std::vector<bool>& sides) { layer.append_kink_sides(sides); }
void append_kink_sides(const Loss<double>& loss, std::vector<bool>& sides) { loss.append_kink_sides(sides); }
void fill_buffers(Layer<double>& layer, double content) { layer.fill_buffers(content); }
void fill_buffers(Loss<double>& loss, double content) { loss.fill_buffers(content); }

bool differentiable_input(const Layer<double>& layer) {
  if (!layer.differentiable_input()) return false;
  if (dynamic_cast<const Sequential<double>*>(&layer))  // computes dx only when asked; no dx passes through indices
    return std::all_of(layer.children().begin(), layer.children().end(), [](const auto& child) {
      const bool chain = dynamic_cast<const Sequential<double>*>(child.second.get()) != nullptr;
      return chain ? detail::differentiable_input(*child.second) : child.second->differentiable_input();
    });
  return layer.requires_input_grad();
}

Restore::Restore(Layer<double>& layer)
    : layer_(layer),
      state_(layer.state_dict()),
      input_grad_(layer.requires_input_grad()),
      differentiable_input_(detail::differentiable_input(layer)) {
  if (differentiable_input_) layer.requires_input_grad(true);
  layer.repeat_random(true);
}

Restore::~Restore() {
  layer_.load_state_dict(state_);
  for (SideTensor<double>& side : layer_.side_outputs()) *side.gradient = Tensor<double>();
  layer_.requires_input_grad(input_grad_);
  layer_.repeat_random(false);
  layer_.zero_grad();
}

Tensor<double> other_batch(const Tensor<double>& x, bool rows) {
  if (x.rank() == 0) return Tensor<double>(x.shape(), {0.75 * x.item()});
  Values elements = x.to_vector();
  const std::size_t row = elements.size() / x.size(0);
  std::rotate(
      elements.begin(),
      elements.begin() + static_cast<std::ptrdiff_t>(rows ? row : std::min<std::size_t>(elements.size() - 1, 1)),
      elements.end());
  elements.insert(elements.end(), elements.begin(), elements.begin() + static_cast<std::ptrdiff_t>(row));
  Shape shape;
  shape.push_back(x.size(0) + 1);
  for (int d = 1; d < static_cast<int>(x.rank()); ++d) shape.push_back(x.size(d));
  return Tensor<double>(shape, elements).to(x.device());
}

std::optional<Diagnosis> compare_forwards(const Tensor<double>& first, const Tensor<double>& second) {
  const Values a = first.to_vector(), b = second.to_vector();
  if (!all_finite(a) || !all_finite(b)) return {};
  const std::optional<double> gap = a.size() == b.size() ? gap_of(b, a) : std::optional(1.0);
  if (!gap) return {};
  return Diagnosis{Cause::NotRepeatable, "output", "two forwards of the same x differ",
                   "by " + percent(*gap) + " of the largest value; there is nothing to take differences of",
                   "random numbers drawn anew (a layer repeats its draw while repeats_random() is on), noise, or a "
                   "state that every forward moves and that y depends on"};
}

GradientReport not_repeatable(const std::string& subject, double tolerance, const Tensor<double>& y,
                              const Diagnosis& found) {
  TensorReport output;
  output.name = "output";
  output.shape = y.shape();
  output.value = output.analytic = y.clone();
  output.numeric = Tensor<double>(y.shape(), Values(y.numel(), nan));
  output.reason = found.what + ": " + found.evidence;
  output.found = found;
  GradientReport report{subject, tolerance, {}, {}};
  report.tensors.push_back(std::move(output));
  return report;
}

std::function<const Noise&()> lazy_noise(const std::vector<Tensor<double>>& tensors,
                                         const std::function<Evaluation()>& evaluate, std::uint64_t seed) {
  const auto noise = std::make_shared<std::optional<Noise>>();
  return [=]() -> const Noise& {
    if (!*noise) *noise = measure_noise(tensors, evaluate, seed);
    return **noise;
  };
}

namespace {

/// The gradients of a step, dx first and then the parameters', and tests of the backward.
class Gradients {
 public:
  Gradients(Layer<double>& layer, const Tensor<double>& x, bool with_input, const GradcheckOptions& options,
            const Step& step)
      : layer_(layer),
        x_(x),
        with_input_(with_input),
        options_(options),
        step_(step),
        parameters_(layer.named_parameters()),
        sides_(layer.side_inputs()) {
    std::erase_if(parameters_, [](const auto& entry) { return !entry.second.requires_grad(); });
  }

  std::vector<Variable> operator()() {
    const Values x_before = x_.to_vector();
    std::vector<Tensor<double>> tensors;
    for (auto& [name, parameter] : parameters_) tensors.push_back(parameter.value());
    if (with_input_) tensors.push_back(x_);
    for (const SideTensor<double>& side : sides_) tensors.push_back(side.value);
    noise_ = lazy_noise(
        tensors, [this_ = *this]() mutable { return this_.evaluate(); }, options_.seed + 2);
    step_.forward();
    run(step_.delta().clone());  // once, so that the buffers exist
    const std::vector<Values> first = fresh(nan, [&](const Tensor<double>& delta) {
      if (all_finite(delta.to_vector())) delta_ = std::max(delta_, largest(delta.to_vector()));
    });
    for (const Values& gradient : first)
      if (all_finite(gradient)) largest_ = std::max(largest_, largest(gradient));
    const bool written = std::all_of(first.begin(), first.end(), all_finite);
    const std::vector<Values> unpoisoned =
        written ? std::vector<Values>(first.size()) : fresh(0, [](const Tensor<double>&) {});
    std::vector<Variable> variables = accumulated(first, unpoisoned);
    if (written) {
      linearity(first, variables);
      own_output(variables);
    }
    arguments(x_before, variables);
    std::size_t weights = 0;
    for (auto& [name, parameter] : parameters_) weights += parameter.numel();
    // The rough cost of a forward: in a large layer fewer entries are compared.
    const std::size_t rows = x_.rank() < 2 ? 1 : x_.shape().rows(), work = weights * rows;
    for (Variable& v : variables) {
      v.noise = noise_;
      v.again = [this_ = *this, place = v.place]() mutable { return this_.evaluate().gradients[place]; };
      if (with_input_) v.input = x_;
      v.cancels = delta_ * std::max(1.0, largest(x_.to_vector()));
      v.largest = largest_;
      v.samples = std::clamp<std::size_t>(250000000 / std::max<std::size_t>(work, 1), 4, options_.max_entries + 4);
    }
    return variables;
  }

 private:
  /// The last forward's backward, with δ and the side outputs' δ altered by `change`.
  template <class Change>
  std::vector<Values> run(const Tensor<double>& delta, Change&& change) {
    std::vector<SideTensor<double>> outputs = layer_.side_outputs();
    for (std::size_t i = 0; i < step_.side_deltas.size() && i < outputs.size(); ++i)
      change(*outputs[i].gradient = step_.side_deltas[i].clone());
    const Tensor<double>& dx = layer_.backward(delta);
    std::vector<Values> gradients{with_input_ ? dx.to_vector() : Values()};
    for (auto& [name, parameter] : parameters_) gradients.push_back(parameter.grad().to_vector());
    for (const SideTensor<double>& side : sides_) gradients.push_back(side.gradient->to_vector());
    return gradients;
  }
  std::vector<Values> run(const Tensor<double>& delta) {
    return run(delta, [](const Tensor<double>&) {});
  }

  /// The same onto buffers holding `content`, which must be overwritten.
  template <class Change>
  std::vector<Values> fresh(double content, Change&& change) {
    fill_buffers(layer_, content);
    for (auto& [name, parameter] : parameters_) {
      parameter.accumulate().first.fill(content);
      parameter.zero_grad();
    }
    for (SideTensor<double>& side : sides_)
      if (side.gradient->defined()) side.gradient->fill(content);
    step_.forward();
    const Tensor<double> delta = step_.delta().clone();
    change(delta);
    return run(delta, change);
  }

  /// A gradient that is pure rounding (of a bias before BatchNorm) counts as no fault.
  std::optional<double> gap_above_noise(const Values& got, const Values& expected, std::size_t place) {
    const std::optional<double> gap = gap_of(got, expected);
    if (!gap) return {};
    const Noise& noise = noise_();
    const double size = std::max(largest(got), largest(expected));
    if ((noise.known ? size : *gap * size) <= 1e-12 * largest_) return {};
    if (place < noise.gradients.size() && *gap * size <= 1e5 * largest(noise.gradients[place])) return {};
    return gap;
  }

  std::vector<Variable> accumulated(const std::vector<Values>& first, const std::vector<Values>& unpoisoned) {
    Generator noise(options_.seed + 1);
    std::vector<Values> before;
    for (std::size_t i = 0; i < parameters_.size(); ++i) {
      Tensor<double>& grad = parameters_[i].second.accumulate().first;
      const double scale = all_finite(first[i + 1]) ? largest(first[i + 1]) : 1;
      normal_(grad, 0, scale > 0 ? scale : 1, noise);  // to be added to
      before.push_back(grad.to_vector());
    }
    step_.forward();
    const std::vector<Values> once = run(step_.delta().clone());
    const std::vector<Values> twice = run(step_.delta().clone());  // without a forward in between
    const auto sum = [](Values a, double times, const Values& b) {
      for (std::size_t i = 0; i < a.size(); ++i) a[i] += times * b[i];
      return a;
    };
    std::vector<Variable> variables;
    const auto add = [&](const std::string& name, const Tensor<double>& value, std::size_t place) {
      Variable v;
      v.name = name;
      v.value = value;
      v.analytic = first[place];
      v.terms = step_.terms;
      v.unpoisoned = unpoisoned[place];
      v.place = place;
      variables.push_back(std::move(v));
    };
    for (std::size_t i = parameters_.size(); i-- > 0;) {
      auto& [name, parameter] = parameters_[i];
      const Values& gradient = first[i + 1];
      add(name, parameter.value(), i + 1);
      if (!all_finite(gradient)) continue;
      variables.back().accumulates = !gap_above_noise(once[i + 1], sum(before[i], 1, gradient), i + 1);
      variables.back().repeats = !gap_above_noise(twice[i + 1], sum(before[i], 2, gradient), i + 1);
    }
    for (std::size_t i = 0; i < sides_.size(); ++i) {
      const std::size_t place = 1 + parameters_.size() + i;
      add(sides_[i].name, sides_[i].value, place);
      if (all_finite(first[place])) variables.back().repeats = !gap_above_noise(twice[place], first[place], place);
    }
    if (with_input_) {
      add("input", x_, 0);
      if (all_finite(first[0])) variables.back().repeats = !gap_above_noise(twice[0], first[0], 0);
    }
    return variables;
  }

  /// A backward is affine in δ (the constant allows for a penalty's gradient): for another δ′, g(δ′ − 1000·δ) = g(δ′) −
  /// 1000·g(δ) + 1000·g(0).
  void linearity(const std::vector<Values>& of_delta, std::vector<Variable>& variables) {
    const auto other = [](const Tensor<double>& delta) {  // δ from both ends inwards, so of the size of δ
      Values elements = delta.to_vector();
      std::reverse(elements.begin(), elements.end());
      return elements;
    };
    const auto put = [](Tensor<double>& delta, const Values& v) { delta.copy_from(Tensor<double>(delta.shape(), v)); };
    const std::vector<Values> of_nothing = fresh(0, [](Tensor<double> delta) { delta.fill(0); });
    const std::vector<Values> of_other = fresh(0, [&](Tensor<double> delta) { put(delta, other(delta)); });
    double size = 0;
    const std::vector<Values> of_both = fresh(0, [&](Tensor<double> delta) {
      const Values d = delta.to_vector();
      Values sum = other(delta);
      for (std::size_t i = 0; i < d.size(); ++i) sum[i] -= 1000 * d[i];
      size = std::max(size, largest(sum));
      put(delta, sum);
    });
    size *= std::max(1.0, largest(x_.to_vector()));
    for (Variable& v : variables) {
      const std::size_t p = v.place;
      Values expected = of_other[p];
      for (std::size_t i = 0; i < expected.size(); ++i) expected[i] += 1000 * of_nothing[p][i] - 1000 * of_delta[p][i];
      if (!all_finite(of_both[p]) || !all_finite(expected)) continue;
      // Nothing but rounding where everything cancels, or denormal numbers.
      const double rounding = std::max(64 * std::numeric_limits<double>::epsilon() * size, 1e-290);
      if (std::max(largest(of_both[p]), largest(expected)) <= rounding) continue;
      if (const std::optional<double> gap = gap_above_noise(of_both[p], expected, p))
        v.found = {
            Cause::NotLinear, v.name, "the backward is not linear in δ",
            "a δ that is 1000 times as large does not give 1000 times as much (" + percent(*gap) + " are missing)",
            "every backward is linear in δ: no clipping, no norm, no |δ| in it (clip_grad_norm_ belongs between "
            "backward and step)"};
    }
  }

  /// S = ½Σy² has δ = y, and `layer.backward(y)` passes in the layer's own buffer.
  void own_output(std::vector<Variable>& variables) {
    const auto with = [&](bool own) {
      fill_buffers(layer_, 0);
      layer_.zero_grad();
      const Tensor<double> y = layer_.forward(x_);
      return run(own ? y : y.clone());
    };
    const std::vector<Values> expected = with(false), got = with(true);
    for (Variable& v : variables)
      if (all_finite(expected[v.place]) && !v.found.named())
        if (const std::optional<double> gap = gap_above_noise(got[v.place], expected[v.place], v.place))
          v.found = {Cause::ArgumentChanged, v.name, "the backward writes into y before it has read all of δ",
                     "with a δ that is the output's own tensor it is " + percent(*gap) + " off",
                     "y and δ are read, never written, in a backward"};
  }

  void arguments(const Values& x_before, std::vector<Variable>& variables) {
    const Values now = x_.to_vector();
    step_.forward();
    const Tensor<double> delta = step_.delta().clone();
    const Values before = delta.to_vector();
    run(delta);
    const Values after = delta.to_vector();
    const auto same = [](double a, double b) { return a == b || (std::isnan(a) && std::isnan(b)); };
    const bool x_kept = std::equal(now.begin(), now.end(), x_before.begin(), same);
    const bool delta_kept = std::equal(after.begin(), after.end(), before.begin(), same);
    if (x_kept && delta_kept) return;
    for (Variable& v : variables)
      v.found = {Cause::ArgumentChanged, v.name,
                 x_kept ? "the backward writes into the δ that it is given" : "the layer writes into its input x",
                 "it holds other values afterwards", "x and δ belong to whoever calls: they are read, never written"};
    if (!x_kept) Tensor<double>(x_).copy_from(Tensor<double>(x_.shape(), x_before));
  }

  Evaluation evaluate() {
    Evaluation e;
    fill_buffers(layer_, 0);
    for (auto& [name, parameter] : parameters_) {
      parameter.accumulate().first.fill(0);
      parameter.zero_grad();
    }
    e.terms = step_.terms(e.sides);
    e.gradients = run(step_.delta().clone());
    return e;
  }

  Layer<double>& layer_;
  Tensor<double> x_;
  bool with_input_;
  GradcheckOptions options_;
  Step step_;
  std::vector<NamedParameter<double>> parameters_;
  std::vector<SideTensor<double>> sides_;
  std::function<const Noise&()> noise_;
  double largest_ = 0, delta_ = 0;
};

}  // namespace

std::vector<Variable> collect(Layer<double>& layer, const Tensor<double>& x, bool with_input,
                              const GradcheckOptions& options, const Step& step) {
  return Gradients(layer, x, with_input, options, step)();
}

}  // namespace handgrad::detail
