// Notebook 001: from one neuron to networks that fit lines, curves and moons. The formulas are derived in README.md
// beside this file.
#include <iomanip>
#include <iostream>
#include <numeric>

#include "network/parts.hpp"

namespace hg = handgrad;

std::vector<double> fit_model(hg::Layer<float>& model, hg::Optimizer<float>& optim, hg::Loss<float>& loss_op,
                              const hg::Tensor<float>& X, const hg::Tensor<float>& y, int n_iter) {
  std::vector<double> loss_values;
  for (int i = 0; i < n_iter; ++i) {
    const hg::Tensor<float>& y_pred = model.forward(X);
    loss_values.push_back(loss_op.forward(y_pred, y).item());
    optim.zero_grad();
    model.backward(loss_op.backward());
    optim.step();
  }
  return loss_values;
}

std::vector<double> iterations(std::size_t n) {
  std::vector<double> numbers(n);
  std::iota(numbers.begin(), numbers.end(), 0);
  return numbers;
}

HANDGRAD_LAB(network, "001", "neurons, layers and networks: lines, curves, moons") {
  std::cout << std::fixed << std::setprecision(4);
  neurons(lab);
  regression(lab);
  moons(lab);
}
