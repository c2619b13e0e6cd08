// The adding problem (Hochreiter and Schmidhuber 1997): T pairs of a number and a mark; two are marked, and their sum
// is the target at the end.
#include <algorithm>
#include <iomanip>
#include <iostream>

#include "common/plot.hpp"
#include "sequence/parts.hpp"

namespace hg = handgrad;
using namespace handgrad::labs;
using hg::Tensor;

namespace {

constexpr std::size_t batch = 32, units = 32;

struct Examples {
  Tensor<float> x, y;  // (T, N, 2), (N, 1)
};

/// One mark in each half.
Examples draw_examples(std::size_t steps, std::size_t n, hg::Generator& generator) {
  Examples e{hg::zeros({steps, n, 2}), hg::zeros({n, 1})};
  const Tensor<float> numbers = hg::rand({steps, n}, generator);
  for (std::size_t i = 0; i < n; ++i) {
    const std::size_t first = generator.random() % (steps / 2), second = steps / 2 + generator.random() % (steps / 2);
    for (std::size_t t = 0; t < steps; ++t) {
      float* pair = e.x.data() + (t * n + i) * 2;
      pair[0] = numbers.item(t, i);
      pair[1] = t == first || t == second ? 1.0f : 0.0f;
    }
    e.y.data()[i] = numbers.item(first, i) + numbers.item(second, i);
  }
  return e;
}

struct Run {
  std::vector<double> steps, losses, norms;  // per 20 steps; the largest gradient norm in them
  std::vector<hg::NamedTensor<float>> weights;
};

/// Adam on fresh batches; `clip` bounds the gradient's norm.
Run train(const std::string& name, std::size_t length, int steps, double clip, const Lab& lab) {
  hg::manual_seed(lab.options.seed);
  hg::Generator generator(lab.options.seed + 1);
  hg::Sequential<float> net;
  net.push_back(make_recurrent(name, 2, units, hg::Steps::Last));
  net.push_back(std::make_shared<hg::Linear<float>>(units, 1));
  net.to(lab.options.device);
  hg::MSELoss<float> loss;
  hg::Adam<float> adam(net.parameters(), {.lr = 5e-3});
  Run run;
  double sum = 0, largest = 0;
  for (int step = 1; step <= steps; ++step) {
    const Examples e = draw_examples(length, batch, generator);
    sum += loss.forward(net.forward(e.x.to(lab.options.device)), e.y.to(lab.options.device)).item();
    adam.zero_grad();
    net.backward(loss.backward());
    const double norm = hg::clip_grad_norm_(net.parameters(), clip > 0 ? clip : 1e30).item();
    largest = std::max(largest, norm);
    adam.step();
    if (step % 20 != 0) continue;
    run.steps.push_back(step);
    run.losses.push_back(sum / 20);
    run.norms.push_back(largest);
    sum = largest = 0;
  }
  run.weights = net.state_dict();
  return run;
}

}  // namespace

void adding(Lab& lab) {
  const std::size_t length = lab.options.quick ? 20 : 50;
  const int steps = lab.options.quick ? 600 : 3000;
  lab.section("2  Adding two numbers that came long ago", "6");
  std::cout << "Sequences of " << length << " numbers from [0, 1); two are marked, their sum is the target. " << units
            << " units, Adam, " << steps << " steps of\n"
            << batch << " sequences. Whoever always says 1 has a mean squared error of 1/6 = 0.167.\n\n"
            << "step     ";
  struct Kind {
    const char *name, *label;
    double clip;
  };
  const Kind kinds[] = {{"RNN", "RNN", 0},
                        {"RNN", "RNN, clipped at 1", 1},
                        {"GRU", "GRU, clipped at 1", 1},
                        {"LSTM", "LSTM, clipped at 1", 1}};
  std::vector<Run> runs;
  Plot loss("The adding problem", "step", "mean squared error"), norm("Before clipping", "step", "‖gradient‖");
  for (const Kind& kind : kinds) {
    runs.push_back(train(kind.name, length, steps, kind.clip, lab));
    std::cout << std::setw(20) << kind.label;
    loss.line(runs.back().steps, runs.back().losses, kind.label);
    norm.line(runs.back().steps, runs.back().norms, kind.label);
    lab.figures.shape(std::string("sequence.adding.") + kind.label, runs.back().losses.back());
    lab.figures.weights(std::string("adding, ") + kind.label, runs.back().weights);
  }
  std::cout << std::fixed << std::setprecision(4) << '\n';
  for (std::size_t i = runs[0].steps.size() / 6 - 1; i < runs[0].steps.size(); i += runs[0].steps.size() / 6) {
    std::cout << std::left << std::setw(9) << int(runs[0].steps[i]) << std::right;
    for (const Run& run : runs) std::cout << std::setw(20) << run.losses[i];
    std::cout << '\n';
  }
  loss.log_y();
  norm.log_y();
  draw(lab, "adding", {loss, norm}, 2);
}
