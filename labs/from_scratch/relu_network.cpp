// Notebook 004, task 4.4, left unfinished there: a network with a hidden layer learns y = x² + noise. For that a
// layer's backward must return δ for the layer before it.
#include <algorithm>
#include <cstdint>
#include <handgrad/handgrad.hpp>
#include <iostream>
#include <string>
#include <vector>

#include "common/plot.hpp"
#include "from_scratch/parts.hpp"

namespace hg = handgrad;
using namespace handgrad::labs;
using hg::Tensor;

namespace {

struct Run {
  double loss;             // at the end
  std::vector<Plot> fits;  // every 200 epochs
  std::vector<hg::NamedTensor<float>> weights;
};

Run train(std::uint64_t seed, hg::Device device, bool talk) {
  hg::manual_seed(seed);
  const Tensor<float> x = hg::linspace<float>(-1, 1, 100).reshape({100, 1});
  const Tensor<float> X = x.to(device), mean = xt::square(x.xt()) + 0.1f;
  const Tensor<float> y = Tensor<float>(xt::square(x.xt()) + 0.2f * hg::rand({100, 1}).xt()).to(device);

  hg::Sequential net{hg::Linear(1, 10), hg::ReLU(), hg::Linear(10, 1)};
  net.to(device);
  hg::MSELoss loss;
  hg::SGD sgd(net.parameters(), {.lr = 0.02});
  if (talk) std::cout << net << '\n';

  Run run{};
  for (int epoch = 0; epoch <= 2000; ++epoch) {
    const Tensor<float>& out = net.forward(X);
    run.loss = loss.forward(out, y).item();
    if (talk && epoch % 200 == 0) {
      std::cout << "epoch " << epoch << " mean loss " << run.loss << '\n';
      run.fits.push_back(Plot("epoch " + std::to_string(epoch), "x", "y"));
      run.fits.back().points(x, y.cpu(), "data").line(x, mean, "x² + 0.1").line(x, out.cpu(), "network");
      run.fits.back().limits(-1.05, 1.05, -0.75, 1.25);
    }
    sgd.zero_grad();
    net.backward(loss.backward());
    sgd.step();
  }
  run.weights = net.state_dict();
  return run;
}

}  // namespace

void relu_network(Lab& lab) {
  lab.section("4.4   Linear(1, 10), ReLU, Linear(10, 1) on t = x² + 0.2·rand, learning rate 0.02", "4.4");
  const Run run = train(lab.options.seed, lab.options.device, true);
  run.fits.back().print(std::cout);
  draw(lab, "fit", run.fits, 3);

  std::vector<double> losses{run.loss};
  for (std::uint64_t seed = 1; seed < 5; ++seed)
    losses.push_back(train(lab.options.seed + seed, lab.options.device, false).loss);
  const auto [best, worst] = std::minmax_element(losses.begin(), losses.end());
  std::cout << "Loss at the end from five seeds: " << *best << " to " << *worst << '\n';
  lab.figures.reach("004.relu_net.loss", run.loss, printed("0.006"), run.loss <= 0.006);
  lab.figures.weights("relu_net", run.weights);
}
