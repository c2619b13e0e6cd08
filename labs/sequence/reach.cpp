// Measures ‖∂h_T/∂h_t‖ from the Jacobian itself, one row per unit, by a backward from the last step to step t.
#include <cmath>
#include <iomanip>
#include <iostream>

#include "common/plot.hpp"
#include "sequence/parts.hpp"

namespace hg = handgrad;
using namespace handgrad::labs;
using hg::Tensor;

namespace {

constexpr std::size_t steps = 60, units = 24, inputs = 4;

/// ‖∂h_T/∂h_t‖ and, for an LSTM, ‖∂c_T/∂c_t‖ (Frobenius norms) for t = 0 … T, the last step.
struct Reach {
  std::vector<double> of_h, of_c;
};

double norm(const Tensor<double>& x) {
  double sum = 0;
  for (const double v : x.to_vector()) sum += v * v;
  return std::sqrt(sum);
}

/// Runs the same sequence `units` times as a batch: with the k-th unit vector as ∂L/∂h_T of the k-th copy, its ∂L/∂h_t
/// is row k of the Jacobian.
Reach reach_of(hg::Recurrent<double>& layer, bool has_c) {
  hg::Generator generator(1);
  const Tensor<double> one = hg::randn<double>({steps, inputs}, generator);
  Tensor<double> x = hg::zeros<double>({steps, units, inputs}), identity = hg::zeros<double>({1, units, units});
  for (std::size_t t = 0; t < steps; ++t)
    for (std::size_t n = 0; n < units; ++n)
      for (std::size_t i = 0; i < inputs; ++i) x.data()[(t * units + n) * inputs + i] = 0.5 * one.item(t, i);
  for (std::size_t k = 0; k < units; ++k) identity.data()[k * units + k] = 1;

  Reach reach;
  const Tensor<double> nothing = hg::zeros<double>({1, units, units});
  hg::RecurrentState<double> at{nothing.clone(), has_c ? nothing.clone() : Tensor<double>()};  // h_t
  layer.requires_input_grad(false);
  for (std::size_t t = 0; t < steps; ++t) {
    const auto from_here = [&](bool of_c) {
      const Tensor<double> y = layer.forward(x.rows(t, steps), at);
      const Tensor<double> none = hg::zeros<double>(y.shape());
      layer.backward(none, of_c ? hg::RecurrentState<double>{{}, identity} : hg::RecurrentState<double>{identity, {}});
      return norm(of_c ? layer.initial_gradient().c : layer.initial_gradient().h);
    };
    reach.of_h.push_back(from_here(false));
    if (has_c) reach.of_c.push_back(from_here(true));
    layer.forward(x.rows(t, t + 1), at);
    at = {layer.final_state().h.clone(), has_c ? layer.final_state().c.clone() : Tensor<double>()};
  }
  reach.of_h.push_back(std::sqrt(double(units)));
  if (has_c) reach.of_c.push_back(std::sqrt(double(units)));
  return reach;
}

/// The factor on a gradient per step, from the slope of log ‖·‖ over the first half of the way back.
double factor(const std::vector<double>& norms) {
  return std::pow(norms[steps / 2] / norms[steps], 1.0 / double(steps - steps / 2));
}

}  // namespace

void reach(Lab& lab) {
  lab.section("1  How far a gradient reaches", "3");
  std::cout << "‖∂h_T/∂h_t‖ through " << steps << " steps of " << units
            << " units, as the layers begin (double, Frobenius norm); T − t = 1, 20, 40, 60:\n\n";
  struct Row {
    std::string name;
    std::vector<double> norms;
  };
  std::vector<Row> rows;
  const double radius = 1 / std::sqrt(3.0);  // for large H, of a matrix from U(−1/√H, 1/√H)
  hg::manual_seed(lab.options.seed);
  for (const double gain : {1.0, 1 / radius, 1.6 / radius}) {
    hg::RNN<double> rnn(inputs, units);
    for (double* w = rnn.weight_hh().value().data(); w != rnn.weight_hh().value().data() + units * units; ++w)
      *w *= gain;
    std::ostringstream name;
    name << std::setprecision(2) << "RNN, |eigenvalues of W_hh| to about " << gain * radius;
    rows.push_back({name.str(), reach_of(rnn, false).of_h});
  }
  hg::GRU<double> gru(inputs, units);
  rows.push_back({"GRU", reach_of(gru, false).of_h});
  for (const double bias : {0.0, 3.0}) {
    hg::LSTM<double> lstm(inputs, units);
    for (std::size_t j = units; j < 2 * units; ++j) lstm.bias_ih().value().data()[j] += bias;  // the forget gate's
    const Reach r = reach_of(lstm, true);
    const std::string with = bias > 0 ? ", forget bias +3" : "";
    rows.push_back({"LSTM" + with + ", h", r.of_h});
    rows.push_back({"LSTM" + with + ", c", r.of_c});
  }
  std::vector<double> back(steps + 1);
  for (std::size_t t = 0; t <= steps; ++t) back[t] = double(t);
  Plot plot("How far a gradient reaches", "t", "‖∂h_T/∂h_t‖, ‖∂c_T/∂c_t‖");
  for (const Row& row : rows) {
    std::cout << std::left << std::setw(44) << row.name << std::right << std::scientific << std::setprecision(1);
    for (const std::size_t distance : {1, 20, 40, 60}) std::cout << std::setw(10) << row.norms[steps - distance];
    std::cout << std::fixed << std::setprecision(3) << "   × " << factor(row.norms) << " a step\n";
    std::vector<double> drawn;
    for (const double v : row.norms) drawn.push_back(std::max(v, 1e-30));
    const std::size_t details = row.name.find("|eigenvalues of W_hh| to about");  // too long for a legend
    plot.line(back, drawn, details == std::string::npos ? row.name : "RNN, |λ| to " + row.name.substr(details + 31));
    lab.figures.shape("sequence.reach." + row.name, factor(row.norms));
  }
  plot.log_y();
  draw(lab, "reach", {plot});
  std::cout << "\nThe RNN multiplies by (1 − h²)∘W_hh at every step: below 1 the gradient vanishes, above it explodes\n"
               "(tanh, once it saturates, holds it). Along c an LSTM multiplies by f alone: as it begins f is about\n"
               "½, and with 3 more in the forget gate's bias 0.95. That is all the difference between them.\n";
}
