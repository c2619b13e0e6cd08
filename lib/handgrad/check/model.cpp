#include "handgrad/check/model.hpp"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "kernels/formulas/activations.hpp"

namespace handgrad::detail {

Grid::Grid(const Tensor<double>& tensor) {
  if (!tensor.defined()) return;
  rows = tensor.rank() < 2 ? 1 : tensor.shape().rows();
  columns = tensor.numel() / std::max<std::size_t>(rows, 1);
  elements = tensor.to_vector();
}

// Mismatched sizes give an empty grid, which agrees with nothing: the step may have been described wrongly.
Grid product(const Grid& a, const Grid& b) {
  if (a.columns != b.rows) return {};
  Grid c(a.rows, b.columns);
  for (std::size_t i = 0; i < a.rows; ++i)
    for (std::size_t k = 0; k < a.columns; ++k)
      for (std::size_t j = 0; j < b.columns; ++j) c(i, j) += a(i, k) * b(k, j);
  return c;
}

Grid transposed(const Grid& a) {
  Grid t(a.columns, a.rows);
  for (std::size_t i = 0; i < a.rows; ++i)
    for (std::size_t j = 0; j < a.columns; ++j) t(j, i) = a(i, j);
  return t;
}

Grid times(const Grid& a, const Grid& b) {
  if (a.elements.size() != b.elements.size()) return {};
  Grid c = a;
  std::transform(a.elements.begin(), a.elements.end(), b.elements.begin(), c.elements.begin(), std::multiplies<>());
  return c;
}

Grid column_sums(const Grid& a) {
  Grid sums(1, a.columns);
  for (std::size_t i = 0; i < a.rows; ++i)
    for (std::size_t j = 0; j < a.columns; ++j) sums(0, j) += a(i, j);
  return sums;
}

namespace {

Grid each(const Grid& z, const std::function<double(double)>& f) {
  Grid y = z;
  std::transform(z.elements.begin(), z.elements.end(), y.elements.begin(), f);
  return y;
}

/// From a formula of kernels/formulas, so that the derivatives are those the layers use.
template <class F>
Function elementwise(const std::string& name, const std::string& derivative, F f,
                     const std::string& at_y = "φ′(y) for φ′(z)", const std::string& with_z = "z in the place of y") {
  const auto slope = [f](const Grid& z, const Grid& y) {
    Grid d = z;
    for (std::size_t i = 0; i < d.elements.size(); ++i) d.elements[i] = f.derivative(z.elements[i], y.elements[i]);
    return d;
  };
  Function function;
  function.name = name;
  function.derivative = derivative;
  function.value = [f](const Grid& z) { return each(z, [f](double v) { return f.value(v); }); };
  function.backward = [slope](const Grid& z, const Grid& y, const Grid& delta) { return times(delta, slope(z, y)); };
  // φ′ with y in place of z: f′(y) and f(y); and the formula in y applied to z.
  function.wrong.push_back({at_y, [f, slope](const Grid&, const Grid& y) {
                              return slope(y, each(y, [f](double v) { return f.value(v); }));
                            }});
  if constexpr (F::from_output)
    function.wrong.push_back({with_z, [slope](const Grid& z, const Grid&) { return slope(z, z); }});
  return function;
}

Grid softmax(const Grid& z) {
  Grid y = z;
  for (std::size_t i = 0; i < z.rows; ++i) {
    double top = z(i, 0), sum = 0;
    for (std::size_t j = 0; j < z.columns; ++j) top = std::max(top, z(i, j));
    for (std::size_t j = 0; j < z.columns; ++j) sum += y(i, j) = std::exp(z(i, j) - top);
    for (std::size_t j = 0; j < z.columns; ++j) y(i, j) /= sum;
  }
  return y;
}

/// dzᵢ = yᵢ(δᵢ − Σⱼ δⱼyⱼ)
Grid softmax_backward(const Grid& y, const Grid& delta) {
  if (y.rows != delta.rows || y.columns != delta.columns) return {};
  Grid g = y;
  for (std::size_t i = 0; i < y.rows; ++i) {
    double dot = 0;
    for (std::size_t j = 0; j < y.columns; ++j) dot += delta(i, j) * y(i, j);
    for (std::size_t j = 0; j < y.columns; ++j) g(i, j) = y(i, j) * (delta(i, j) - dot);
  }
  return g;
}

bool same(const Grid& a, const Grid& b) {
  if (a.elements.size() != b.elements.size() || a.empty()) return false;
  for (std::size_t i = 0; i < a.elements.size(); ++i)
    if (!(std::abs(a.elements[i] - b.elements[i]) <= 1e-10 * (1e-3 + std::abs(b.elements[i])))) return false;
  return true;
}

}  // namespace

const std::vector<Function>& functions() {
  static const std::vector<Function> catalogue = [] {
    namespace f = formulas;
    std::vector<Function> all{
        elementwise("the identity", "1", f::Identity{}),
        elementwise("σ", "y(1−y)", f::Sigmoid{}, "σ(y)(1−σ(y)) (but y is σ(z) already)", "z(1−z)"),
        elementwise("tanh", "1 − y²", f::Tanh{}, "1 − tanh²(y) (but y is tanh(z) already)", "1 − z²"),
        elementwise("ReLU", "the mask [z > 0]", f::ReLU{}),
        elementwise("LeakyReLU", "1 or the slope", f::LeakyReLU{}),
        elementwise("ELU", "1 or eᶻ", f::ELU{}),
        elementwise("GELU", "Φ(z) + z·φ(z)", f::GELU{}),
        elementwise("GELU", "its φ′(z)", f::GELUTanh{}),
        elementwise("SiLU", "σ(z)(1 + z(1−σ(z)))", f::SiLU{}),
        elementwise("Softplus", "σ(z)", f::Softplus{}),
        elementwise("Hardtanh", "the mask [−1 < z < 1]", f::Hardtanh{}),
        elementwise("Hardsigmoid", "1/6 or 0", f::Hardsigmoid{}),
        elementwise("Hardswish", "z/3 + ½, 0 or 1", f::Hardswish{}),
        elementwise("LogSigmoid", "σ(−z)", f::LogSigmoid{}),
        elementwise("Softsign", "1/(1 + |z|)²", f::Softsign{}),
        elementwise("Mish", "t + z(1 − t²)σ(z)", f::Mish{})};
    all[0].wrong.clear();
    const auto of_y = [](double (*f)(double)) { return [f](const Grid&, const Grid& y) { return each(y, f); }; };
    const auto y_alone = of_y([](double y) { return y; }), rest_alone = of_y([](double y) { return 1 - y; });
    constexpr Cause wrong = Cause::WrongDerivative;
    all[1].wrong.push_back({"1 − y², which is tanh′", of_y([](double y) { return 1 - y * y; }),
                            "the derivative of tanh stands where that of σ belongs: y(1−y)", wrong});
    all[1].wrong.push_back({"δ∘y", y_alone, "half of σ′ = y(1−y) is missing: the factor 1 − y", wrong});
    all[1].wrong.push_back({"δ∘(1 − y)", rest_alone, "half of σ′ = y(1−y) is missing: the factor y", wrong});
    all[2].wrong.push_back({"y(1−y), which is σ′", of_y([](double y) { return y * (1 - y); }),
                            "the derivative of σ stands where that of tanh belongs: 1 − y²", wrong});
    all[2].wrong.push_back({"δ∘y", y_alone, "tanh itself stands where its derivative belongs: 1 − y²", wrong});
    all[2].wrong.push_back({"δ∘(1 − y)", rest_alone, "tanh′ = 1 − y²: the square is missing", wrong});
    all[3].wrong.push_back(
        {"δ∘ReLU(z)", y_alone, "ReLU itself stands where its derivative belongs: the mask [z > 0]", wrong});
    Function rows;
    rows.name = "softmax";
    rows.derivative = "the Jacobian y(δ − Σδy)";
    rows.elementwise = false;
    rows.value = softmax;
    rows.backward = [](const Grid&, const Grid& y, const Grid& delta) { return softmax_backward(y, delta); };
    all.push_back(rows);
    return all;
  }();
  return catalogue;
}

namespace {

/// The weights, each with its bias.
struct Pair {
  Grid W, b;
};

std::vector<Pair> pairs_of(const GradientStep& step) {
  std::vector<Pair> pairs;
  for (const auto& [name, value] : step.parameters) {
    const bool weight = value.rank() == 2 || (pairs.empty() && value.rank() == 1);
    if (weight)
      pairs.push_back({Grid(value), {}});
    else if (!pairs.empty() && pairs.back().b.empty() && value.rank() < 2)
      pairs.back().b = Grid(value);
    else
      return {};
  }
  return pairs;
}

bool search(const std::vector<Pair>& pairs, std::size_t level, const Grid& x, const Grid& y,
            std::vector<Stage>& chain) {
  Stage stage;
  stage.x = x;
  stage.z = x;
  const bool last = level + 1 >= pairs.size();
  for (const bool transpose : {false, true}) {
    if (!pairs.empty()) {
      stage.W = transpose ? transposed(pairs[level].W) : pairs[level].W;
      if (stage.W.columns != x.columns) continue;
      stage.weight_is_transposed = transpose;
      stage.b = pairs[level].b;
      stage.z = product(x, transposed(stage.W));
      if (!stage.b.empty() && stage.b.columns != stage.z.columns) continue;
      for (std::size_t i = 0; i < stage.z.rows; ++i)
        for (std::size_t j = 0; j < stage.z.columns && !stage.b.empty(); ++j) stage.z(i, j) += stage.b(0, j);
    } else if (transpose) {
      break;
    }
    for (const Function& function : functions()) {
      stage.function = &function;
      stage.y = function.value(stage.z);
      chain.push_back(stage);
      if (last ? same(stage.y, y) : search(pairs, level + 1, stage.y, y, chain)) return true;
      chain.pop_back();
    }
  }
  return false;
}

}  // namespace

std::vector<Stage> recognise(const GradientStep& step) {
  std::vector<Stage> chain;
  const std::vector<Pair> pairs = pairs_of(step);
  if (!step.x.defined() || !step.y.defined() || !step.dy.defined() || step.y.numel() != step.dy.numel()) return {};
  if (step.x.numel() > 100000 || pairs.size() > 3 || (pairs.empty() && !step.parameters.empty())) return {};
  if (!search(pairs, 0, Grid(step.x), Grid(step.y), chain)) return {};
  Grid delta = chain.back().y;
  delta.elements = Grid(step.dy).elements;
  for (std::size_t i = chain.size(); i-- > 0;) {
    chain[i].delta = delta;
    if (i > 0) delta = assemble(chain[i], Role::Input, chain[i].function->backward(chain[i].z, chain[i].y, delta));
  }
  return chain;
}

Grid assemble(const Stage& stage, Role role, const Grid& g) {
  if (!stage.dense()) return g;
  switch (role) {
    case Role::Input:
      return product(g, stage.W);
    case Role::Bias:
      return column_sums(g);
    case Role::Weight:
      break;
  }
  const Grid dW = product(transposed(g), stage.x);
  return stage.weight_is_transposed ? transposed(dW) : dW;
}

namespace {

/// Parts of dzᵢ = yᵢ(δᵢ − Σⱼ δⱼyⱼ).
void softmax_guesses(const Stage& stage, std::vector<Guess>& guesses) {
  const Grid &y = stage.y, &delta = stage.delta;
  const Grid slope = each(y, [](double v) { return v * (1 - v); }), first = times(delta, y);
  Grid second = softmax_backward(y, delta);
  for (std::size_t i = 0; i < second.elements.size(); ++i) second.elements[i] -= first.elements[i];
  guesses.push_back({Cause::JacobianPart, times(delta, slope), "only the diagonal of softmax's Jacobian is there",
                     "δ∘y(1−y), as if every output had an input of its own,"});
  guesses.push_back({Cause::JacobianPart, first, "the sum in softmax's derivative is missing: − y·Σδy", "δ∘y alone"});
  guesses.push_back(
      {Cause::JacobianPart, second, "the diagonal of softmax's Jacobian is missing: + δ∘y", "−y·Σδy alone"});
  Grid no_delta = first;
  for (std::size_t i = 0; i < y.elements.size(); ++i) no_delta.elements[i] -= y.elements[i];
  guesses.push_back(
      {Cause::JacobianPart, no_delta, "δ is missing in the sum of softmax's derivative: Σ δy, not Σ y", "y∘(δ − Σy)"});
  guesses.push_back({Cause::UpstreamIgnored, slope, "the δ that comes from above is ignored, and all but the diagonal",
                     "y(1−y) alone"});
  guesses.push_back({Cause::WrongAxis, transposed(softmax_backward(transposed(y), transposed(delta))),
                     "the sum in softmax's derivative runs over the wrong dimension: over the examples",
                     "a sum over the column"});
}

}  // namespace

std::vector<Guess> wrong_guesses(const Stage& stage) {
  const Function& f = *stage.function;
  Grid ones = stage.delta;
  std::fill(ones.elements.begin(), ones.elements.end(), 1.0);
  const Grid right = f.backward(stage.z, stage.y, stage.delta);
  std::vector<Guess> guesses;
  const bool tellable = ones.elements != stage.delta.elements;
  if (tellable)
    guesses.push_back({Cause::UpstreamIgnored, f.backward(stage.z, stage.y, ones),
                       "the δ that comes from above is ignored", "δ = 1 everywhere"});
  if (f.name == "the identity") return guesses;
  if (tellable)
    guesses.push_back(
        {Cause::UpstreamIgnored, ones, "the δ that comes from above is ignored, and φ′ too", "1 for both"});
  guesses.push_back({Cause::DerivativeMissing, stage.delta,
                     "the derivative of " + f.name + " is missing: " + f.derivative,
                     "δ alone, without " + f.derivative});
  guesses.push_back({Cause::ExtraDerivative, f.backward(stage.z, stage.y, right),
                     "the derivative of " + f.name + " is there twice: " + f.derivative,
                     f.derivative + " applied twice"});
  for (const Function::Wrong& wrong : f.wrong)
    guesses.push_back({wrong.cause, times(stage.delta, wrong.derivative(stage.z, stage.y)),
                       wrong.what.empty()
                           ? "the derivative of " + f.name + " is taken of the wrong variable; it is " + f.derivative
                           : wrong.what,
                       wrong.formula});
  if (f.name == "softmax") softmax_guesses(stage, guesses);
  return guesses;
}

namespace {

/// x̂ = (x − µ)·s by rows, or x·s, and its backward s·(g − mean(g) − x̂·mean(g∘x̂)), with right or wrong means.
class Norm {
 public:
  Norm(const Grid& x, const Grid& x_hat, const Grid& g, bool centred) : x_hat_(x_hat), g_(g), s_(x.rows) {
    centred_ = centred;
    for (std::size_t i = 0; i < x.rows; ++i) {
      double mean = 0, above = 0, below = 0;
      for (std::size_t j = 0; centred && j < x.columns; ++j) mean += x(i, j) / static_cast<double>(x.columns);
      for (std::size_t j = 0; j < x.columns; ++j) {
        above += x_hat(i, j) * (x(i, j) - mean);
        below += (x(i, j) - mean) * (x(i, j) - mean);
      }
      s_[i] = below > 0 ? above / below : 0;
    }
  }

  enum class Over { Row, Column, All, Nothing };
  Grid backward(Over first, Over second) const {
    const Grid of_g = mean(g_, centred_ ? first : Over::Nothing), of_product = mean(times(g_, x_hat_), second);
    Grid dx = g_;
    for (std::size_t i = 0; i < dx.rows; ++i)
      for (std::size_t j = 0; j < dx.columns; ++j)
        dx(i, j) = s_[i] * (g_(i, j) - of_g(i, j) - x_hat_(i, j) * of_product(i, j));
    return dx;
  }

 private:
  static Grid mean(const Grid& v, Over over) {
    Grid means(v.rows, v.columns), sums = means;
    if (over == Over::Nothing) return means;
    for (std::size_t i = 0; i < v.rows; ++i)
      for (std::size_t j = 0; j < v.columns; ++j)
        sums(over == Over::Row ? i : 0, over == Over::Column ? j : 0) += v(i, j);
    const std::size_t count = over == Over::Row ? v.columns : over == Over::Column ? v.rows : v.rows * v.columns;
    for (std::size_t i = 0; i < v.rows; ++i)
      for (std::size_t j = 0; j < v.columns; ++j)
        means(i, j) = sums(over == Over::Row ? i : 0, over == Over::Column ? j : 0) / static_cast<double>(count);
    return means;
  }

  const Grid &x_hat_, &g_;
  std::vector<double> s_;
  bool centred_ = false;
};

}  // namespace

namespace {

/// A way to normalise a tensor: each row of `place` lists the elements normalised together. Element k uses γ and β of
/// channel(k) = k/inner mod channels.
struct Layout {
  Grid place;
  std::size_t channels = 1, inner = 1;
  bool centred = true;
  std::string over;  // what is normalised together
  std::size_t channel(std::size_t k) const { return k / inner % channels; }
  Grid gather(const Grid& from) const {
    Grid to = place;
    for (double& e : to.elements) e = from.elements[static_cast<std::size_t>(e)];
    return to;
  }
  Grid scatter(const Grid& from, Grid to) const {
    for (std::size_t i = 0; i < from.elements.size(); ++i)
      to.elements[static_cast<std::size_t>(place.elements[i])] = from.elements[i];
    return to;
  }
};

/// Rows (LayerNorm; RMSNorm without a mean), columns (BatchNorm), channels of (N, C, …) (BatchNorm2d), and each
/// example's groups of channels (GroupNorm).
std::vector<Layout> layouts(const Shape& shape, const Grid& x) {
  std::vector<Layout> all;
  Grid rows = x;
  for (std::size_t k = 0; k < rows.elements.size(); ++k) rows.elements[k] = static_cast<double>(k);
  for (const bool centred : {false, true}) all.push_back({rows, x.columns, 1, centred, "over each row alone"});
  all.push_back({transposed(rows), x.columns, 1, true, "over the batch, for each column"});
  if (shape.rank() < 2) return all;
  const std::size_t N = shape[0], C = shape[1], L = x.elements.size() / (N * C);
  if (L > 1) {
    Grid channels(C, N * L);
    for (std::size_t k = 0; k < x.elements.size(); ++k)
      channels(k / L % C, k / (C * L) * L + k % L) = static_cast<double>(k);
    all.push_back({channels, C, L, true, "over the batch and all places, for each channel"});
  }
  for (std::size_t groups = 1; groups <= C; ++groups) {
    if (C % groups != 0 || C / groups * L < 2 || (L == 1 && groups == 1)) continue;
    Grid grouped(N * groups, C / groups * L);
    grouped.elements = rows.elements;
    all.push_back(
        {grouped, C, L, true, "over each group of " + std::to_string(C / groups) + " channels of an example"});
  }
  return all;
}

}  // namespace

std::vector<NormGuess> norm_guesses(const GradientStep& step) {
  const Grid x(step.x), y(step.y), dy(step.dy);
  if (x.elements.size() != y.elements.size() || y.elements.size() != dy.elements.size() || x.columns < 2) return {};
  std::vector<Grid> affine;
  for (const auto& [name, value] : step.parameters) affine.emplace_back(value);
  if (affine.size() > 2) return {};
  using Over = Norm::Over;
  std::vector<NormGuess> guesses;
  for (const Layout& layout : layouts(step.x.shape(), x)) {
    bool fits = true;
    for (const Grid& a : affine) fits = fits && a.elements.size() == layout.channels;
    if (!fits) continue;
    Grid x_hat = y, g = dy, twice = dy;
    for (std::size_t k = 0; k < x.elements.size(); ++k) {
      const double gamma = affine.empty() ? 1 : affine[0].elements[layout.channel(k)];
      x_hat.elements[k] = (y.elements[k] - (affine.size() < 2 ? 0 : affine[1].elements[layout.channel(k)])) / gamma;
      g.elements[k] = gamma * dy.elements[k];
      twice.elements[k] = gamma * gamma * dy.elements[k];
    }
    const Grid of_x = layout.gather(x), of_x_hat = layout.gather(x_hat), of_g = layout.gather(g),
               of_delta = layout.gather(dy), of_twice = layout.gather(twice);
    const Norm norm(of_x, of_x_hat, of_g, layout.centred), without_gamma(of_x, of_x_hat, of_delta, layout.centred),
        gamma_twice(of_x, of_x_hat, of_twice, layout.centred);
    const Grid right = layout.scatter(norm.backward(Over::Row, Over::Row), x);
    const auto add = [&](Cause cause, const Grid& wrong, const std::string& what, const std::string& formula) {
      guesses.push_back({cause, right, layout.scatter(wrong, x), what, formula,
                         layout.centred ? "dx = s·(g − mean(g) − x̂·mean(g∘x̂)), means over what was normalised, g = γ∘δ"
                                        : "dx = s·(g − x̂·mean(g∘x̂)), the mean over what was normalised, g = γ∘δ"});
    };
    const auto means = [&](Cause cause, Over first, Over second, const std::string& what, const std::string& formula) {
      add(cause, norm.backward(first, second), what, formula);
    };
    const std::string wrong_axis = "a mean of the norm's derivative is taken over more than x̂ was, " + layout.over;
    means(Cause::WrongAxis, Over::Row, Over::All, wrong_axis, "mean(g∘x̂) over everything");
    means(Cause::WrongAxis, Over::Row, Over::Column, wrong_axis, "mean(g∘x̂) over the other axis");
    means(Cause::TermMissing, Over::Row, Over::Nothing, "the term x̂·mean(g∘x̂) is missing", "leaving it out");
    if (!affine.empty()) {
      add(Cause::NormScale, without_gamma.backward(Over::Row, Over::Row), "the norm's γ is missing",
          "δ in place of γ∘δ");
      add(Cause::NormScale, gamma_twice.backward(Over::Row, Over::Row), "the norm's γ is there twice", "γ∘γ∘δ");
    }
    if (!layout.centred) continue;
    means(Cause::WrongAxis, Over::All, Over::All, wrong_axis, "both means over everything");
    means(Cause::WrongAxis, Over::All, Over::Row, wrong_axis, "mean(g) over everything");
    means(Cause::WrongAxis, Over::Column, Over::Column, wrong_axis, "both means over the other axis");
    means(Cause::WrongAxis, Over::Column, Over::Row, wrong_axis, "mean(g) over the other axis");
    means(Cause::TermMissing, Over::Nothing, Over::Row, "the term mean(g) is missing", "leaving it out");
    means(Cause::TermMissing, Over::Nothing, Over::Nothing, "both means are missing", "s·g alone");
  }
  return guesses;
}

}  // namespace handgrad::detail
