// Lines and a curve.
#include <algorithm>
#include <cmath>
#include <handgrad/handgrad.hpp>
#include <iomanip>
#include <iostream>
#include <string>
#include <vector>

#include "common/plot.hpp"
#include "common/text.hpp"
#include "network/parts.hpp"

namespace hg = handgrad;
using namespace handgrad::labs;
using hg::Tensor;

namespace {

struct Data {
  Tensor<float> X, y;  // (100, 1)
};

/// 100 sorted points of [1, 5], y = 2 + 0.7x + noise from [−0.5, 0.5]: NumPy's numbers, computed in double.
Data line_data(hg::NumpyRandom& numpy) {
  const std::size_t n = 100;
  std::vector<double> x = numpy.rand(n);
  std::sort(x.begin(), x.end());
  std::vector<float> X(n), y(n);
  for (std::size_t i = 0; i < n; ++i) {
    x[i] = 4 * x[i] + 1;
    X[i] = static_cast<float>(x[i]);
    y[i] = static_cast<float>(2 + 0.7 * x[i] + (numpy.rand() - 0.5));
  }
  return {{{n, 1}, X}, {{n, 1}, y}};
}

/// 100 points of [2, 10], y = 5/x + 2 + noise from N(0, 1/7²), continuing the same stream.
Data curve_data(hg::NumpyRandom& numpy) {
  const std::size_t n = 100;
  std::vector<float> X(n), y(n);
  for (std::size_t i = 0; i < n; ++i) {
    const double x = 2 + 8 * static_cast<double>(i) / static_cast<double>(n - 1);
    X[i] = static_cast<float>(x);
    y[i] = static_cast<float>(1 / x * 5 + numpy.randn() / 7 + 2);
  }
  return {{{n, 1}, X}, {{n, 1}, y}};
}

hg::Linear<float> create_model() {
  hg::manual_seed(0);
  return hg::Linear(1, 1);
}

void line(Lab& lab, const Data& data) {
  lab.section("4    One neuron fits a line: t = 2 + 0.7x + noise");
  hg::Linear model = create_model();
  hg::MSELoss loss_op;
  std::cout << "w = " << model.weight.value() << ", b = " << model.bias.value() << '\n';
  // The notebook first compares (100, 1) with (100,): PyTorch computes 100×100 differences.
  try {
    loss_op.forward(model.forward(data.X), data.y.reshape({100}));
  } catch (const hg::ShapeError& error) {
    std::cout << wrapped(std::string("ShapeError: ") + error.what()) << '\n';
  }

  hg::SGD optimizer(model.parameters(), {.lr = 0.01});
  const Tensor<float> y_pred_0 = model.forward(data.X).clone();
  fit_model(model, optimizer, loss_op, data.X, data.y, 1);
  const Tensor<float> y_pred_1 = model.forward(data.X).clone();
  std::cout << "loss before and after a step: " << loss_op.forward(y_pred_0, data.y).item() << ", "
            << loss_op.forward(y_pred_1, data.y).item() << '\n';

  model = create_model();
  hg::SGD again(model.parameters(), {.lr = 0.01});
  const std::vector<double> history = fit_model(model, again, loss_op, data.X, data.y, 100);
  std::cout << "loss at the last of 100 iterations: " << history.back()
            << " (the notebook asserts: below 0.22)\nw = " << model.weight.value() << ", b = " << model.bias.value()
            << '\n';
  lab.figures.exact("001.line.loss_last", history.back(), printed("0.22"), history.back() < 0.22);
  lab.figures.weights("line", model.state_dict());

  const Tensor<float> x_new{{2}};
  const Tensor<float> y_new = model.forward(x_new).clone();
  std::cout << "a batch of one: x = " << x_new << " → " << y_new << '\n';
  Plot plot("One neuron: 2 + 0.7x", "x", "y");
  plot.points(data.X, data.y, "data")
      .line({1, 5}, {2.7, 5.5}, "2 + 0.7x")
      .line(data.X, y_pred_0, "before")
      .line(data.X, y_pred_1, "after 1 step")
      .line(data.X, model.forward(data.X), "after 100 steps")
      .marks(x_new, y_new, "a new x");
  draw(lab, "line", {plot});
}

void learning_rates(Lab& lab, const Data& data) {
  lab.section("5    The learning rate", "4");
  Plot plot("One neuron, three learning rates", "iteration", "mean squared error");
  for (const std::string rate : {"0.1", "0.01", "0.001"}) {
    hg::Linear model = create_model();
    hg::SGD optimizer(model.parameters(), {.lr = std::stod(rate)});
    hg::MSELoss loss_op;
    const std::vector<double> history = fit_model(model, optimizer, loss_op, data.X, data.y, 100);
    std::cout << "lr " << rate << ": loss " << history.front() << " → " << history.back() << '\n';
    plot.line(iterations(history.size()), history, "lr " + rate);
  }
  const double x2 = xt::mean(xt::square(data.X.xt()))(), x1 = xt::mean(data.X.xt())();
  const double h = x2 + 1 + std::sqrt((x2 - 1) * (x2 - 1) + 4 * x1 * x1);
  std::cout << "The largest eigenvalue of the loss's second derivative is " << h << ": descent needs a rate below\n2/"
            << h << " = " << 2 / h
            << ". At 0.1 a step goes past the minimum by more than what it came from: the loss\ngrows without end.\n";
  draw(lab, "learning_rates", {plot.log_y()});
  lab.figures.shape("001.line.lr_sweep");
}

void two_layers(Lab& lab, const Data& data) {
  lab.section("6    Two layers without an activation are one line");
  hg::manual_seed(0);
  hg::Sequential model{hg::Linear(1, 2), hg::Linear(2, 1)};
  std::cout << model << "\nprediction for 1, 2, 3: " << model.forward({{1}, {2}, {3}}) << '\n';
  hg::SGD optimizer(model.parameters(), {.lr = 0.01});
  hg::MSELoss loss_op;
  const std::vector<double> history = fit_model(model, optimizer, loss_op, data.X, data.y, 100);
  const double r2 = hg::r2_score(data.y, model.forward(data.X));
  std::cout << "R2: " << std::setprecision(5) << r2 << std::setprecision(4)
            << "\nprediction for 1, 2, 3: " << model.forward({{1}, {2}, {3}})
            << "\nThe steps from 1 to 2 and from 2 to 3 are equal: W₂(W₁x + b₁) + b₂ is a line again.\n";
  lab.figures.exact("001.line.r2", r2, full_float("0.79912"));
  lab.figures.weights("two_layers", model.state_dict());

  Plot fit("Linear(1, 2), Linear(2, 1)", "x", "y"), loss("its loss", "iteration", "mean squared error");
  fit.points(data.X, data.y, "data")
      .line({1, 5}, {2.7, 5.5}, "2 + 0.7x")
      .line(data.X, model.forward(data.X), "prediction");
  loss.line(iterations(history.size()), history);
  draw(lab, "two_layers", {fit, loss}, 2);
}

void sigmoid_layer(Lab& lab) {
  lab.section("7    A sigmoid behind a layer, w = 10");
  hg::Linear layer(1, 1, false);
  layer.weight.value().fill(10);
  hg::Sigmoid activation;
  const Tensor<float> X{{-10}, {0}, {10}};
  const Tensor<float>& z = layer.forward(X);
  const Tensor<float>& y = activation.forward(z);
  std::cout << "Input: " << X << "\nLayer result: " << z << "\nActivation result: " << y << '\n';
  lab.figures.exact("001.sigmoid.w10", y, printed("0 0.5 1"), hg::allclose(y, Tensor<float>{{0}, {0.5}, {1}}, 0, 1e-6));
}

void curve(Lab& lab, const Data& data) {
  lab.section("8    A hidden layer of two sigmoids fits a curve: t = 5/x + 2 + noise", "7");
  hg::manual_seed(0);
  hg::Sequential model{hg::Linear(1, 2), hg::Sigmoid(), hg::Linear(2, 1)};
  hg::SGD optimizer(model.parameters(), {.lr = 0.1});
  hg::MSELoss loss_op;
  const std::vector<double> history = fit_model(model, optimizer, loss_op, data.X, data.y, 1000);
  const double r2 = hg::r2_score(data.y, model.forward(data.X));
  std::cout << model << "\nloss after 1000 iterations: " << history.back() << ", R2: " << r2 << '\n';
  Plot fit("5/x + 2: Linear(1, 2), Sigmoid, Linear(2, 1)", "x", "y"),
      loss("its loss", "iteration", "mean squared error");
  const Tensor<float> truth = 5.f / data.X.xt() + 2.f;
  fit.points(data.X, data.y, "data").line(data.X, truth, "5/x + 2").line(data.X, model.forward(data.X), "prediction");
  loss.line(iterations(history.size()), history).log_y();
  draw(lab, "curve", {fit, loss}, 2);
  lab.figures.shape("001.curve.fit", r2);
  lab.figures.weights("curve", model.state_dict());
}

}  // namespace

void regression(Lab& lab) {
  hg::NumpyRandom numpy(0);
  const Data straight = line_data(numpy);
  line(lab, straight);
  learning_rates(lab, straight);
  two_layers(lab, straight);
  sigmoid_layer(lab);
  curve(lab, curve_data(numpy));
}
