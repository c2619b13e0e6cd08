// The parts of a neuron, how it learns, and the library's layer.
#include <algorithm>
#include <cmath>
#include <handgrad/handgrad.hpp>
#include <iomanip>
#include <iostream>
#include <string>
#include <utility>
#include <vector>

#include "common/plot.hpp"
#include "common/text.hpp"
#include "network/parts.hpp"

namespace hg = handgrad;
using namespace handgrad::labs;
using hg::Tensor;

namespace {

/// Ranges of z with |f′| < 0.01, where hardly any gradient passes.
std::vector<std::pair<double, double>> saturated(const std::vector<float>& z, const std::vector<float>& slope) {
  std::vector<std::pair<double, double>> ranges;
  for (std::size_t i = 0; i < z.size(); ++i) {
    if (std::abs(slope[i]) >= 0.01f) continue;
    if (i == 0 || std::abs(slope[i - 1]) >= 0.01f) ranges.push_back({z[i], z[i]});
    ranges.back().second = z[i];
  }
  return ranges;
}

/// f and f′ as the layer computes them: backward of δ = 1 gives f′.
Plot activation(const std::string& title, hg::Layer<float>& f, const Tensor<float>& z) {
  const Tensor<float> y = f.forward(z).clone();
  const Tensor<float> slope = f.backward(hg::ones(z.shape())).clone();
  Plot plot(title, "z", "f(z), f′(z)");
  const auto ranges = saturated(z.to_vector(), slope.to_vector());
  std::cout << std::setw(10) << f.name() << "   f′ from " << std::setw(6)
            << *std::min_element(slope.data(), slope.data() + slope.numel()) << " to " << std::setw(6)
            << *std::max_element(slope.data(), slope.data() + slope.numel()) << "   |f′| < 0.01 on";
  for (const auto& [low, high] : ranges) {
    std::cout << " [" << std::setprecision(2) << low << ", " << high << std::setprecision(4) << "]";
    plot.band(low, high, "|f′| < 0.01");
  }
  std::cout << (ranges.empty() ? " nothing" : "") << '\n';
  return std::move(plot.line(z, y, "f(z)").line(z, slope, "f′(z)"));
}

void activations(Lab& lab) {
  lab.section("1    Activation functions and their derivatives");
  const Tensor<float> z = hg::linspace<float>(-10, 10, 401);
  hg::Sigmoid sigmoid;
  hg::Tanh tanh;
  hg::ReLU relu;
  hg::Threshold step;
  const std::vector<Plot> plots{activation("sigmoid: 1/(1+e⁻ᶻ)", sigmoid, z), activation("tanh", tanh, z),
                                activation("ReLU: max(z, 0)", relu, z).limits(-10.8, 10.8, -1.44, 10.44),
                                activation("threshold: 1 where z > 0", step, z)};
  draw(lab, "activations", plots, 2);
  std::cout << "\nA δ that comes to a neuron is multiplied by f′: at most 1/4 for the sigmoid, at most 1 for tanh, 1\n"
               "or 0 for ReLU, and always 0 for the threshold, behind which nothing can learn.\n";
  lab.figures.shape("001.activations");
}

/// x → h → o, each one neuron without a bias: J = (t − σ(w_o·σ(w_h·x)))². In double.
struct Chain {
  double x = 1.5, t = 0.2, w_h = 0.8, w_o = -1.3;
};
double sigmoid(double z) { return 1 / (1 + std::exp(-z)); }

void delta_rule(Lab& lab) {
  lab.section("2    The delta rule on the chain x → h → o");
  const Chain c;
  std::cout << "x = " << c.x << ", t = " << c.t << ", w_h = " << c.w_h << ", w_o = " << c.w_o << "; J = (t − a_o)²\n\n";

  // The library's layers pass δ on: what a sigmoid's backward returns is the neuron's delta.
  hg::Linear<double> h(Tensor<double>{{c.w_h}}), o(Tensor<double>{{c.w_o}});
  hg::Sigmoid<double> act_h, act_o;
  hg::MSELoss<double> mse;
  const Tensor<double> x{{c.x}}, t{{c.t}};
  mse.forward(act_o.forward(o.forward(act_h.forward(h.forward(x)))), t);
  const Tensor<double> delta_o = act_o.backward(mse.backward());
  const Tensor<double> delta_h = act_h.backward(o.backward(delta_o));
  h.backward(delta_h);
  const std::vector<double> rule{delta_o.item(), delta_h.item(), o.weight.grad().item(), h.weight.grad().item()};

  // The product of all factors of the chain, written out.
  const double a_h = sigmoid(c.w_h * c.x), a_o = sigmoid(c.w_o * a_h);
  const std::vector<double> expanded{2 * (a_o - c.t) * a_o * (1 - a_o),                                   // ∂J/∂z_o
                                     2 * (a_o - c.t) * a_o * (1 - a_o) * c.w_o * a_h * (1 - a_h),         // ∂J/∂z_h
                                     2 * (a_o - c.t) * a_o * (1 - a_o) * a_h,                             // ∂J/∂w_o
                                     2 * (a_o - c.t) * a_o * (1 - a_o) * c.w_o * a_h * (1 - a_h) * c.x};  // ∂J/∂w_h

  // Central differences of J. By z: J as a function of the weighted sum itself.
  const auto J_of_z_o = [&](double z) { return std::pow(c.t - sigmoid(z), 2); };
  const auto J_of_z_h = [&](double z) { return J_of_z_o(c.w_o * sigmoid(z)); };
  const auto slope = [](auto&& f, double at) {
    const double step = 1e-5;
    return (f(at + step) - f(at - step)) / (2 * step);
  };
  const std::vector<double> differences{slope(J_of_z_o, c.w_o * a_h), slope(J_of_z_h, c.w_h * c.x),
                                        slope([&](double w) { return J_of_z_o(w * a_h); }, c.w_o),
                                        slope([&](double w) { return J_of_z_h(w * c.x); }, c.w_h)};

  const char* names[] = {"δ_o = ∂J/∂z_o", "δ_h = ∂J/∂z_h", "∂J/∂w_o = δ_o·a_h", "∂J/∂w_h = δ_h·x"};
  std::cout << "                        delta rule      written out      differences\n" << std::setprecision(10);
  double apart = 0;
  for (std::size_t i = 0; i < rule.size(); ++i) {
    std::cout << padded(names[i], 20) << std::setw(14) << rule[i] << std::setw(17) << expanded[i] << std::setw(17)
              << differences[i] << '\n';
    apart = std::max({apart, std::abs(rule[i] - expanded[i]), std::abs(rule[i] - differences[i])});
  }
  std::cout << "\nThe three differ by " << std::scientific << std::setprecision(1) << apart << std::fixed
            << std::setprecision(4)
            << " at most. The notebook differentiates (t − a)² to −(t − a): without the\nfactor 2 its δ_o would be "
            << rule[0] / 2 << ", and the differences say " << differences[0] << ".\n";
  if (!(apart <= 1e-8)) throw hg::ValueError("001.delta: the three ways to the gradient differ by more than 1e-8");
  lab.figures.exact("001.delta", rule);
}

void first_steps(Lab& lab) {
  lab.section("3a   A tensor from an array, and back");
  const xt::xtensor<double, 2> ones_array = xt::ones<double>({3, 4});
  const Tensor<double> ones_tensor = ones_array;
  std::cout << "An array of ones, shape (3, 4), as a tensor: " << ones_tensor << '\n';
  const Tensor<double> data_tensor{{3, 4}, {1, 2}};
  const xt::xarray<double> data_array = data_tensor.xt();
  std::cout << "and a tensor as an array: " << data_tensor << " has " << data_array.size() << " elements, the last is "
            << data_array(1, 1) << ".\n";
  if (!(ones_tensor == hg::ones<double>({3, 4})) || data_array(0, 1) != 4)
    throw hg::ValueError("3a: an array did not come through");

  lab.section("3b   A layer, its weights, and one without a bias");
  hg::manual_seed(0);
  hg::Linear neurons_layer(3, 2);
  std::cout << neurons_layer.name()
            << " begins with random numbers, within ±1/√3:\nweight: " << neurons_layer.weight.value()
            << "\nbias: " << neurons_layer.bias.value() << '\n';
  const hg::Linear no_bias(3, 2, false);
  std::cout << "Linear(3, 2, false) has " << no_bias.parameter_count() << " parameters, not "
            << neurons_layer.parameter_count() << "; its bias is " << (no_bias.bias.defined() ? "there" : "not defined")
            << ".\n";
}

void layer_of_ones(Lab& lab) {
  lab.section("3c   Linear(3, 2), its weights and biases 1");
  hg::Linear layer(3, 2);
  layer.weight.value().fill(1);
  layer.bias.value().fill(1);
  const Tensor<float> input{{1.5, 2, 3}};
  const Tensor<float> result = layer.forward(input);
  const Tensor<float> manual = xt::sum(input.xt() * layer.weight.value().xt(), {1}) + layer.bias.value().xt();
  std::cout << "Input: " << input << "\nWeights: " << layer.weight.value() << "\nBias: " << layer.bias.value()
            << "\n\tResult: " << result << "\nManual result: " << manual << '\n';
  lab.figures.exact("001.linear.ones", result, printed("7.5 7.5"));
}

}  // namespace

void neurons(Lab& lab) {
  activations(lab);
  delta_rule(lab);
  first_steps(lab);
  layer_of_ones(lab);
}
