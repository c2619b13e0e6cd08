#include "handgrad/check/gradcheck.hpp"

#include <algorithm>
#include <cmath>
#include <functional>
#include <limits>
#include <numeric>

#include "handgrad/random.hpp"

namespace handgrad {

namespace {

constexpr double nan = std::numeric_limits<double>::quiet_NaN();
using Values = std::vector<double>;

/// What is differenced: a function of several tensors, seen as a list of terms that add up to the scalar S. (Terms are
/// subtracted one by one before they are added up: those that do not depend on the entry cancel exactly.)
struct Subject {
  std::string name;
  /// The terms of S, with the sides of all kinks on which the forward ran.
  std::function<Values(std::vector<bool>& sides)> terms;
  /// One tensor to differentiate by, and its gradient as the backward computed it.
  struct Variable {
    std::string name;
    Tensor<double> value;  // shares its elements with the subject
    Values analytic;
    bool accumulates = true, repeats = true;
  };
  std::vector<Variable> variables;  // in the order in which the backward makes their gradients
};

struct Difference {
  double value = nan;  // (S(+h) − S(−h)) / 2h
  bool kink = false;   // one lies in between
};

/// Moves a variable, evaluates, and puts it back bit for bit.
class Differencer {
 public:
  Differencer(const Subject& subject, const Subject::Variable& variable)
      : subject_(subject), value_(variable.value), original_(variable.value.to_vector()) {}

  /// Along `direction`, which has an element for each of the variable's; or, empty, along entry `index` alone.
  Difference operator()(std::size_t index, double h, const Values& direction = {}) {
    std::vector<bool> sides_up, sides_down;
    const Values up = at(index, h, direction, sides_up), down = at(index, -h, direction, sides_down);
    value_.copy_from(Tensor<double>(value_.shape(), original_));
    double sum = 0;
    for (std::size_t i = 0; i < up.size(); ++i) sum += up[i] - down[i];
    // What the machine made of ±h, not what was asked for.
    const double x = original_[index], width = direction.empty() ? (x + h) - (x - h) : 2 * h;
    return {sum / width, sides_up != sides_down};
  }
  double original(std::size_t index) const { return original_[index]; }

 private:
  Values at(std::size_t index, double h, const Values& direction, std::vector<bool>& sides) {
    Values moved = original_;
    if (direction.empty())
      moved[index] += h;
    else
      for (std::size_t i = 0; i < moved.size(); ++i) moved[i] += h * direction[i];
    value_.copy_from(Tensor<double>(value_.shape(), moved));
    return subject_.terms(sides);
  }

  const Subject& subject_;
  Tensor<double> value_;
  Values original_;
};

double relative_error(double a, double n) {
  const double error = std::abs(a - n) / std::max(1e-8, std::abs(a) + std::abs(n));
  return std::isnan(error) ? std::numeric_limits<double>::infinity() : error;
}

/// Ridders' method: differences for h, h/1.4, h/1.4², … extrapolated to h = 0 (Neville). The estimate is the one that
/// its neighbours in the table agree with best, and how well they agree is its uncertainty.
struct Estimate {
  double value = nan, uncertainty = std::numeric_limits<double>::infinity();
};
Estimate ridders(Differencer& differences, std::size_t index) {
  constexpr int rows = 10;
  constexpr double shrink = 1.4;
  double table[rows][rows];
  double h = 1e-3 * std::max(1.0, std::abs(differences.original(index)));
  Estimate best;
  for (int i = 0; i < rows; ++i, h /= shrink) {
    const Difference d = differences(index, h);
    if (d.kink) {  // start again below it
      if (i > 0 || h < 1e-9) return best;
      i = -1;
      continue;
    }
    table[i][0] = d.value;
    double power = shrink * shrink;
    for (int j = 1; j <= i; ++j, power *= shrink * shrink) {
      table[i][j] = (table[i][j - 1] * power - table[i - 1][j - 1]) / (power - 1);
      const double spread =
          std::max(std::abs(table[i][j] - table[i][j - 1]), std::abs(table[i][j] - table[i - 1][j - 1]));
      if (spread <= best.uncertainty) best = {table[i][j], spread};
    }
    if (i > 0 && std::abs(table[i][i] - table[i - 1][i - 1]) > 2 * best.uncertainty) break;
  }
  return best;
}

class Checker {
 public:
  Checker(const Subject& subject, const GradcheckOptions& options, double tolerance)
      : subject_(subject), options_(options), tolerance_(tolerance), generator_(options.seed) {}

  TensorReport check(const Subject::Variable& variable) {
    TensorReport report;
    report.name = variable.name;
    report.shape = variable.value.shape();
    report.analytic = Tensor<double>(report.shape, variable.analytic);
    report.accumulates = variable.accumulates;
    report.repeats = variable.repeats;
    const std::size_t n = variable.analytic.size();
    Values numeric(n, nan);
    Differencer differences(subject_, variable);
    if (n <= options_.max_entries) {
      for (std::size_t i = 0; i < n; ++i) compare(i, variable, differences, numeric, report);
    } else {
      std::vector<std::size_t> order = randperm(n, generator_);
      for (std::size_t i = 0; i < options_.max_entries; ++i) compare(order[i], variable, differences, numeric, report);
      const bool astray = !along_directions(variable, differences);
      if (astray || report.worst_error() > tolerance_)
        for (std::size_t i = options_.max_entries; i < n; ++i)
          compare(order[i], variable, differences, numeric, report);
    }
    report.numeric = Tensor<double>(report.shape, numeric);
    judge(variable, report);
    return report;
  }

 private:
  void compare(std::size_t i, const Subject::Variable& variable, Differencer& differences, Values& numeric,
               TensorReport& report) {
    const double a = variable.analytic[i];
    const Difference d = differences(i, options_.step * std::max(1.0, std::abs(differences.original(i))));
    if (d.kink) {
      ++report.skipped;
      return;
    }
    double n = d.value, error = relative_error(a, n);
    if (error > tolerance_ && std::isfinite(a)) {
      const Estimate refined = ridders(differences, i);
      if (std::isfinite(refined.value)) n = refined.value;
      error = relative_error(a, n);
      // Rounding of S limits what differences can tell: about 1e-16·|terms|/h.
      if (error > tolerance_ && std::abs(a - n) <= 10 * refined.uncertainty && std::abs(a) + std::abs(n) < 1e-3) {
        ++report.excused;
        return;
      }
    } else if (a == 0 && n == 0) {
      ++report.excused;
      numeric[i] = 0;
      return;
    }
    numeric[i] = n;
    ++report.checked;
    report.worst.push_back({i, a, n, error});
    std::sort(report.worst.begin(), report.worst.end(),
              [](const GradientEntry& x, const GradientEntry& y) { return x.error > y.error; });
    if (report.worst.size() > 5) report.worst.pop_back();
  }

  bool along_directions(const Subject::Variable& variable, Differencer& differences) {
    const std::size_t n = variable.analytic.size();
    for (int k = 0; k < 3; ++k) {
      Values direction(n);
      for (double& d : direction) d = generator_.normal() / std::sqrt(static_cast<double>(n));
      const double a = std::inner_product(direction.begin(), direction.end(), variable.analytic.begin(), 0.0);
      const Difference d = differences(0, options_.step, direction);
      if (!d.kink && relative_error(a, d.value) > std::max(1e-6, tolerance_)) return false;
    }
    return true;
  }

  void judge(const Subject::Variable& variable, TensorReport& report) const {
    const std::size_t unwritten = static_cast<std::size_t>(
        std::count_if(variable.analytic.begin(), variable.analytic.end(), [](double a) { return !std::isfinite(a); }));
    const bool zero = std::all_of(variable.analytic.begin(), variable.analytic.end(), [](double a) { return a == 0; });
    const std::size_t looked_at = report.checked + report.skipped + report.excused;
    report.verdict = Verdict::Fail;
    if (unwritten > 0)
      report.reason = std::to_string(unwritten) +
                      " entries are not finite: never written by the backward, or NaN or inf came in with δ or x";
    else if (report.checked > 0 && report.worst_error() > tolerance_)
      report.reason.clear();
    else if (!report.accumulates)
      report.reason = "a backward onto an earlier gradient did not add to it: grad += dW, not grad = dW";
    else if (!report.repeats)
      report.reason = "a second backward after one forward gave something else: the first destroyed what was saved";
    else {
      report.verdict = Verdict::Inconclusive;
      if (static_cast<double>(report.skipped) > options_.max_skipped * static_cast<double>(looked_at))
        report.reason = "too many entries lie at a kink; try another x";
      else if (zero)
        report.reason =
            "the gradient is zero everywhere, and so are the differences: that proves nothing "
            "(dead or saturated units, or a step?)";
      else if (report.checked == 0)
        report.reason = "no entry could be told from rounding";
      else
        report.verdict = Verdict::Pass;
    }
  }

  const Subject& subject_;
  const GradcheckOptions& options_;
  double tolerance_;
  Generator generator_;
};

GradientReport run(const Subject& subject, const GradcheckOptions& options, double tolerance) {
  GradientReport report{subject.name, options.tolerance.value_or(tolerance), {}};
  Checker checker(subject, options, report.tolerance);
  for (const Subject::Variable& variable : subject.variables) report.tensors.push_back(checker.check(variable));
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
void collect(Layer<double>& layer, const Tensor<double>& x, const GradcheckOptions& options,
             const std::function<void()>& forward, const std::function<Tensor<double>()>& backward, Subject& subject) {
  forward();
  backward();  // once, so that there are buffers to poison
  layer.poison_buffers();
  std::vector<NamedParameter<double>> parameters = layer.named_parameters();
  for (auto& [name, parameter] : parameters) {
    parameter.accumulate().first.fill(nan);  // to be overwritten:
    parameter.zero_grad();
  }
  forward();
  const Values dx = backward().to_vector();
  std::vector<Values> first;
  for (auto& [name, parameter] : parameters) first.push_back(parameter.grad().to_vector());

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
  for (std::size_t i = parameters.size(); i-- > 0;) {
    auto& [name, parameter] = parameters[i];
    const bool adds = is_sum(once[i], before[i], 1, first[i]);
    const bool repeats = is_sum(parameter.grad().to_vector(), before[i], 2, first[i]);
    subject.variables.push_back({name, parameter.value(), first[i], adds, repeats});
  }
  if (options.input) subject.variables.push_back({"input", x, dx, true, is_sum(dx_again, Values(dx.size()), 1, dx)});
}

Values projected(const Tensor<double>& y, const Values& R) {
  Values terms = y.to_vector();
  for (std::size_t i = 0; i < terms.size(); ++i) terms[i] *= R[i];
  return terms;
}

}  // namespace

GradientReport check_gradients(Layer<double>& layer, const Tensor<double>& x, const GradcheckOptions& options) {
  const Restore restore(layer);
  const Tensor<double> own = x.clone();  // to be moved about
  Generator generator(options.seed);
  Tensor<double> R = Tensor<double>::empty(layer.forward(own).shape());
  normal_(R, 0, 1, generator);
  const Tensor<double> delta = R.to(own.device());
  const Values weights = R.to_vector();

  Subject subject;
  subject.name = layer.label();
  subject.terms = [&](std::vector<bool>& sides) {
    Values terms = projected(layer.forward(own), weights);
    layer.append_kink_sides(sides);
    return terms;
  };
  collect(
      layer, own, options, [&] { layer.forward(own); }, [&] { return layer.backward(delta).clone(); }, subject);
  return run(subject, options, 1e-7);
}

GradientReport check_gradients(Loss<double>& loss, const Tensor<double>& prediction, const Tensor<double>& target,
                               const GradcheckOptions& options) {
  const Tensor<double> p = prediction.clone();
  Generator generator(options.seed);
  Tensor<double> R = Tensor<double>::empty(loss.forward(p, target).shape());
  normal_(R, 0, 1, generator);
  const bool scalar = loss.reduction() != Reduction::None;
  if (scalar) R.fill(1);
  const Tensor<double> upstream = R.to(p.device());
  const Values weights = R.to_vector();

  Subject subject;
  subject.name = loss.name();
  subject.terms = [&](std::vector<bool>& sides) {
    Values terms = projected(loss.forward(p, target), weights);
    loss.append_kink_sides(sides);
    return terms;
  };
  const auto backward = [&] {
    loss.forward(p, target);
    return (scalar ? loss.backward() : loss.backward(upstream)).clone();
  };
  backward();
  loss.poison_buffers();
  subject.variables.push_back({"prediction", p, backward().to_vector()});
  return run(subject, options, 1e-7);
}

GradientReport check_gradients(Layer<double>& network, Loss<double>& loss, const Tensor<double>& x,
                               const Tensor<double>& y, const GradcheckOptions& options) {
  if (loss.reduction() == Reduction::None)
    throw ValueError("check_gradients: a network is checked with a loss that is one number: Reduction::Mean or Sum");
  const Restore restore(network);
  const Tensor<double> own = x.clone();
  Subject subject;
  subject.name = network.name() + " with " + loss.name();
  subject.terms = [&](std::vector<bool>& sides) {
    const double value = loss.forward(network.forward(own), y).item();
    network.append_kink_sides(sides);
    loss.append_kink_sides(sides);
    return Values{value};
  };
  collect(
      network, own, options, [&] { loss.forward(network.forward(own), y); },
      [&] { return network.backward(loss.backward()).clone(); }, subject);
  return run(subject, options, 1e-6);
}

}  // namespace handgrad
