// Beyond the notebooks: what depth does to activations and gradients, and how initialisation, BatchNorm, Residual and
// the optimizer change it. The derivation is in README.md beside this file.
#include <algorithm>
#include <cmath>
#include <handgrad/handgrad.hpp>
#include <iomanip>
#include <iostream>
#include <memory>
#include <string>
#include <vector>

#include "common/lab.hpp"
#include "common/plot.hpp"
#include "common/text.hpp"

namespace hg = handgrad;
using namespace handgrad::labs;
using hg::Tensor;

namespace {

constexpr std::size_t width = 64, depth = 20;

enum class Start { Default, Xavier, Kaiming };
enum class Kind { Plain, BatchNorm, Residual };

const char* name(Start start) {
  return start == Start::Default ? "default" : start == Start::Xavier ? "Xavier" : "Kaiming";
}

std::shared_ptr<hg::Layer<double>> activation(const std::string& phi) {
  if (phi == "sigmoid") return std::make_shared<hg::Sigmoid<double>>();
  if (phi == "tanh") return std::make_shared<hg::Tanh<double>>();
  return std::make_shared<hg::ReLU<double>>();
}

/// One of `depth` blocks: φ(x·Wᵀ), φ(BatchNorm(x·Wᵀ)) or x + φ(x·Wᵀ). Biases are 0, as in the derivation.
std::shared_ptr<hg::Layer<double>> block(std::size_t features, const std::string& phi, Start start, Kind kind) {
  auto linear = std::make_shared<hg::Linear<double>>(features, features);
  if (start == Start::Xavier) hg::init::xavier_uniform_(linear->weight.value());
  if (start == Start::Kaiming) hg::init::kaiming_uniform_(linear->weight.value(), {.nonlinearity = "relu"});
  linear->bias.value().fill(0);
  auto f = std::make_shared<hg::Sequential<double>>();
  f->push_back(linear);
  if (kind == Kind::BatchNorm) f->push_back(std::make_shared<hg::BatchNorm1d<double>>(features));
  f->push_back(activation(phi));
  if (kind == Kind::Residual) return std::make_shared<hg::Residual<double>>(std::shared_ptr<hg::Layer<double>>(f));
  f->requires_input_grad(true);
  return f;
}

double spread(const std::vector<double>& numbers) {
  double mean = 0, squares = 0;
  for (const double v : numbers) mean += v / static_cast<double>(numbers.size());
  for (const double v : numbers) squares += (v - mean) * (v - mean);
  return std::sqrt(squares / static_cast<double>(numbers.size()));
}

/// The output of each block, and ∂L/∂x before each, for x and δ of standard normal numbers.
struct Signals {
  std::vector<std::vector<double>> activations, gradients;
};

Signals run_through(const std::string& phi, Start start, Kind kind, std::uint64_t seed) {
  hg::manual_seed(seed);
  std::vector<std::shared_ptr<hg::Layer<double>>> blocks;
  for (std::size_t i = 0; i < depth; ++i) blocks.push_back(block(width, phi, start, kind));
  Signals signals;
  Tensor<double> h = hg::randn<double>({256, width});
  for (const auto& layer : blocks) {
    h = layer->forward(h);
    signals.activations.push_back(h.to_vector());
  }
  Tensor<double> delta = hg::randn<double>(h.shape());
  for (std::size_t i = depth; i-- > 0;) {
    delta = blocks[i]->backward(delta);
    signals.gradients.push_back(delta.to_vector());
  }
  std::reverse(signals.gradients.begin(), signals.gradients.end());
  return signals;
}

std::vector<double> spreads(const std::vector<std::vector<double>>& layers) {
  std::vector<double> all;
  for (const auto& layer : layers) all.push_back(spread(layer));
  return all;
}

std::vector<double> count_to(std::size_t n) {
  std::vector<double> numbers(n);
  for (std::size_t i = 0; i < n; ++i) numbers[i] = static_cast<double>(i + 1);
  return numbers;
}

/// The share of the numbers in each of 41 bins from low to high, as a line.
void histogram(Plot& plot, const std::vector<double>& numbers, double low, double high, const std::string& label) {
  constexpr std::size_t bins = 41;
  std::vector<double> centres(bins), shares(bins);
  for (std::size_t i = 0; i < bins; ++i) centres[i] = low + (high - low) * (static_cast<double>(i) + 0.5) / bins;
  for (const double v : numbers) {
    const double at = (v - low) / (high - low) * bins;
    const double held = std::min(std::max(at, 0.0), bins - 1.0);  // outliers go into the outermost bins
    shares[static_cast<std::size_t>(held)] += 1 / static_cast<double>(numbers.size());
  }
  plot.line(centres, shares, label);
}

// ---- the sections ----

void initialisation_section(const Lab& lab) {
  lab.section("1  Twenty layers, three functions, three ways to begin");
  std::cout
      << "x and δ are standard normal, " << width << " wide. The spread (standard deviation) of what comes out of\n"
      << "layers 1, 10 and 20, and of ∂L/∂x before layers 20, 10 and 1; and by what factor it changes a layer.\n\n"
      << "                        forward: 1        10        20   a layer   back: 20        10         1   a layer\n";
  std::vector<Plot> forward, back, histograms;
  for (const std::string phi : {"sigmoid", "tanh", "ReLU"}) {
    Plot ahead(phi + ": activations", "layer", "spread"), behind(phi + ": gradients", "layer", "spread");
    for (const Start start : {Start::Default, Start::Xavier, Start::Kaiming}) {
      const Signals s = run_through(phi, start, Kind::Plain, lab.options.seed + 1);
      const auto up = spreads(s.activations), down = spreads(s.gradients);
      const double steps = depth - 10;
      std::cout << "  " << padded(phi, 9) << padded(name(start), 9) << std::scientific << std::setprecision(1)
                << std::setw(14) << up[0] << std::setw(10) << up[9] << std::setw(10) << up[19] << std::fixed
                << std::setprecision(2) << std::setw(10) << std::pow(up[19] / up[9], 1 / steps) << std::scientific
                << std::setprecision(1) << std::setw(11) << down[19] << std::setw(10) << down[9] << std::setw(10)
                << down[0] << std::fixed << std::setprecision(2) << std::setw(10)
                << std::pow(down[0] / down[10], 1 / steps) << '\n';
      ahead.line(count_to(depth), up, name(start));
      behind.line(count_to(depth), down, name(start));
      Plot h(phi + ", " + name(start), "activation", "share");
      const double most = phi == "ReLU" ? 2 : 1;
      for (const std::size_t layer : {1, 5, 10, 20})
        histogram(h, s.activations[layer - 1], phi == "tanh" ? -1 : 0, most, "layer " + std::to_string(layer));
      histograms.push_back(h);
    }
    forward.push_back(ahead.log_y());
    back.push_back(behind.log_y());
  }
  std::cout << "\nAs derived: with Var W = c/n a layer of ReLU multiplies the spread by √(c/2): default (c = 1/3) "
            << std::setprecision(2) << std::sqrt(1 / 6.0) << ",\nXavier (c = 1) " << std::sqrt(0.5)
            << ", Kaiming (c = 2) 1. tanh near 0 is a line: √c, " << std::sqrt(1 / 3.0)
            << " with the default; Xavier's 1 shrinks\nslowly, for tanh is a little flatter than a line. The sigmoid's "
               "gradients lose at least √c/4 a layer, whatever\nits activations do: its slope is at most ¼.\n";
  std::vector<Plot> both = forward;
  both.insert(both.end(), back.begin(), back.end());
  draw(lab, "spread", both, 3);
  draw(lab, "activations", histograms, 3);
}

void gradient_histograms(const Lab& lab) {
  std::vector<Plot> plots;
  for (const std::string phi : {"sigmoid", "tanh", "ReLU"})
    for (const Start start : {Start::Default, Start::Xavier, Start::Kaiming}) {
      const Signals s = run_through(phi, start, Kind::Plain, lab.options.seed + 1);
      Plot h(phi + ", " + name(start), "log₁₀ |∂L/∂x|", "share");
      for (const std::size_t layer : {20, 15, 10, 1}) {
        std::vector<double> logarithms;
        for (const double v : s.gradients[layer - 1])
          if (v != 0) logarithms.push_back(std::log10(std::abs(v)));
        histogram(h, logarithms, -16, 2, "layer " + std::to_string(layer));
      }
      plots.push_back(h);
    }
  draw(lab, "gradients", plots, 3);
}

void repair_section(const Lab& lab) {
  lab.section("2  BatchNorm, Residual", "3");
  std::cout << "ReLU with PyTorch's default, the same twenty layers:\n\n"
            << "                  forward: 1        10        20   back: 20        10         1\n";
  Plot ahead("ReLU, default: activations", "layer", "spread"), behind("ReLU, default: gradients", "layer", "spread");
  const std::pair<const char*, Kind> kinds[] = {
      {"plain", Kind::Plain}, {"BatchNorm", Kind::BatchNorm}, {"Residual", Kind::Residual}};
  for (const auto& [label, kind] : kinds) {
    const Signals s = run_through("ReLU", Start::Default, kind, lab.options.seed + 1);
    const auto up = spreads(s.activations), down = spreads(s.gradients);
    std::cout << "  " << padded(label, 12) << std::scientific << std::setprecision(1) << std::setw(14) << up[0]
              << std::setw(10) << up[9] << std::setw(10) << up[19] << std::setw(11) << down[19] << std::setw(10)
              << down[9] << std::setw(10) << down[0] << std::fixed << '\n';
    ahead.line(count_to(depth), up, label);
    behind.line(count_to(depth), down, label);
  }
  std::cout
      << "\nBatchNorm brings every layer back to spread 1 before its ReLU: what W does to the size cancels, forward\n"
         "and back. (ReLU behind it makes the gradients grow, by about 1.2 a layer.) In a Residual δ arrives whole\n"
         "beside what the layer hands on; x and δ grow, and nothing vanishes.\n";
  draw(lab, "repaired", {ahead.log_y(), behind.log_y()}, 2);
}

struct Training {
  std::vector<double> losses;  // step by step
  std::vector<hg::NamedTensor<double>> weights;
};

/// A deep network on two moons.
Training train(Start start, Kind kind, int steps, std::uint64_t seed) {
  constexpr std::size_t features = 16;
  const auto data = hg::make_moons<double>({.n_samples = 200, .noise = 0.1});
  const Tensor<double> y = data.y.reshape({data.y.numel(), 1});
  hg::manual_seed(seed);
  hg::Sequential<double> net;
  net.push_back(std::make_shared<hg::Linear<double>>(2, features));
  for (std::size_t i = 0; i < depth; ++i) net.push_back(block(features, "ReLU", start, kind));
  net.push_back(std::make_shared<hg::Linear<double>>(features, 1));
  hg::BCEWithLogitsLoss<double> loss;
  hg::SGD<double> sgd(net.parameters(), {.lr = 0.05, .momentum = 0.9});
  std::vector<double> losses;
  for (int step = 0; step < steps; ++step) {
    losses.push_back(loss.forward(net.forward(data.x), y).item());
    sgd.zero_grad();
    net.backward(loss.backward());
    hg::clip_grad_norm_(net.parameters(), 1.0);
    sgd.step();
  }
  return {losses, net.state_dict()};
}

void training_section(const Lab& lab) {
  lab.section("3  Does it learn?", "3");
  const int steps = lab.options.quick ? 100 : 300;
  std::cout << "Two moons, 22 layers of ReLU, " << steps << " steps of SGD with momentum:\n\n"
            << "                          loss: first   halfway      last\n";
  Plot plot("22 layers on two moons", "step", "binary cross-entropy");
  struct Run {
    const char* label;
    Start start;
    Kind kind;
  };
  for (const Run& run : {Run{"default", Start::Default, Kind::Plain}, Run{"Kaiming", Start::Kaiming, Kind::Plain},
                         Run{"default, BatchNorm", Start::Default, Kind::BatchNorm},
                         Run{"default, Residual", Start::Default, Kind::Residual}}) {
    const auto [losses, weights] = train(run.start, run.kind, steps, lab.options.seed + 1);
    lab.figures.weights(run.label, weights);
    const std::size_t n = losses.size();
    std::cout << "  " << padded(run.label, 24) << std::fixed << std::setprecision(4) << std::setw(10) << losses[0]
              << std::setw(10) << losses[n / 2] << std::setw(10) << losses[n - 1] << '\n';
    plot.line(count_to(n), losses, run.label);
  }
  std::cout
      << "\nlog 2 = 0.6931 is what a network pays that knows nothing of x. With the default no gradient comes down\n"
         "to the lower layers, and hardly any of x comes up: it stays there.\n";
  draw(lab, "training", {plot});
}

/// A bent valley: L(a, b) = (1 − a)² + 5(b − a²)², lowest at (1, 1), and its gradient by hand:
///     ∂L/∂a = −2(1 − a) − 20a(b − a²),   ∂L/∂b = 10(b − a²)
double valley(double a, double b) { return (1 - a) * (1 - a) + 5 * (b - a * a) * (b - a * a); }

template <class O, class Options>
void walk(Plot& plot, const std::string& label, Options options) {
  hg::Parameter<double> w(Tensor<double>{-1.5, 2.5});
  O optimizer({w}, options);
  std::vector<double> path_a, path_b;
  int arrived = 0;
  for (int step = 1; step <= 400; ++step) {
    const double a = w.value().data()[0], b = w.value().data()[1];
    path_a.push_back(a);
    path_b.push_back(b);
    if (valley(a, b) > 1e-2) arrived = step;
    optimizer.zero_grad();
    w.accumulate(Tensor<double>{-2 * (1 - a) - 20 * a * (b - a * a), 10 * (b - a * a)}.xt());
    optimizer.step();
  }
  const double a = w.value().data()[0], b = w.value().data()[1];
  std::cout << "  " << padded(label, 26) << std::scientific << std::setprecision(1) << std::setw(10)
            << valley(path_a[50], path_b[50]) << std::setw(12) << valley(a, b) << std::fixed << std::setw(14);
  if (arrived < 400)
    std::cout << arrived;
  else
    std::cout << "later";
  std::cout << '\n';
  plot.line(path_a, path_b, label);
}

void optimizers_section(const Lab& lab) {
  lab.section("4  Optimizers on one surface");
  std::cout << "L(a, b) = (1 − a)² + 5(b − a²)², from (−1.5, 2.5):\n\n"
            << "                              after 50   after 400   L < 0.01 from step\n";
  const auto as = hg::linspace<double>(-2, 2, 121), bs = hg::linspace<double>(-1, 3, 121);
  std::vector<double> surface;
  for (std::size_t i = 0; i < bs.numel(); ++i)
    for (std::size_t j = 0; j < as.numel(); ++j) surface.push_back(std::log10(valley(as.item(j), bs.item(i)) + 1e-3));
  Plot plot("Four ways down one valley", "a", "b");
  plot.surface(as, bs, surface, "log₁₀ L", Plot::Scale::Sequential).contours({-1, 0, 0.5, 1, 1.5});
  walk<hg::SGD<double>>(plot, "SGD, η = 0.01", hg::SGDOptions{.lr = 0.01});
  walk<hg::SGD<double>>(plot, "momentum 0.9, η = 0.01", hg::SGDOptions{.lr = 0.01, .momentum = 0.9});
  walk<hg::RMSprop<double>>(plot, "RMSprop, η = 0.02", hg::RMSpropOptions{.lr = 0.02});
  walk<hg::Adam<double>>(plot, "Adam, η = 0.1", hg::AdamOptions{.lr = 0.1});
  plot.marks({-1.5}, {2.5}, "start").marks({1}, {1}, "minimum");
  std::cout << "\nSGD falls into the valley and creeps along it, for the slope there is small. Momentum adds up what\n"
               "points one way, and swings across it. RMSprop and Adam divide by the size of the gradients of late:\n"
               "flat directions get steps as long as steep ones.\n";
  draw(lab, "optimizers", {plot});
}

}  // namespace

HANDGRAD_LAB(depth, "", "initialisation, depth, BatchNorm and Residual; optimizers side by side") {
  lab.stays_on_cpu("this lab looks at every layer's numbers");
  initialisation_section(lab);
  gradient_histograms(lab);
  repair_section(lab);
  training_section(lab);
  optimizers_section(lab);
}
