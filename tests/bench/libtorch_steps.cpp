// The rows of the table that tests/bench/run prints, in LibTorch's C++ interface: prints `ROW SECONDS`.
//   libtorch_steps [THREADS]
// Built by tests/bench/run against the LibTorch that comes with Python's PyTorch.
#include <torch/torch.h>

#include <cstdio>
#include <cstdlib>
#include <memory>
#include <utility>
#include <vector>

#include "timing.hpp"

namespace {

using bench::Step;
using namespace torch::nn;

torch::Tensor labels(int n) { return (torch::rand({n, 1}) > 0.5).to(torch::kFloat); }
torch::Tensor classes(int n) { return torch::randint(10, {n}); }

template <class Loss, class Optimizer>
void train(Sequential& net, Loss& loss, Optimizer& optimizer, const torch::Tensor& x, const torch::Tensor& y) {
  auto value = loss(net->forward(x), y);
  optimizer.zero_grad();
  value.backward();
  optimizer.step();
}

template <class Loss, class Optimizer>
Step training(Sequential net, Loss loss, std::shared_ptr<Optimizer> optimizer, torch::Tensor x, torch::Tensor y) {
  return [=]() mutable { train(net, loss, *optimizer, x, y); };
}

auto sgd(Sequential& net, double lr = 1e-3, double weight_decay = 0) {
  return std::make_shared<torch::optim::SGD>(net->parameters(),
                                             torch::optim::SGDOptions(lr).weight_decay(weight_decay));
}

enum Extra { None = 0, WithDropout = 1, WithBatchNorm = 2 };

Sequential mlp_net(std::vector<int> sizes, int extra = None) {
  Sequential net;
  for (std::size_t i = 0; i + 1 < sizes.size(); ++i) {
    net->push_back(Linear(sizes[i], sizes[i + 1]));
    if (i + 2 == sizes.size()) break;
    net->push_back(ReLU());
    if (extra & WithBatchNorm) net->push_back(BatchNorm1d(sizes[i + 1]));
    if (extra & WithDropout) net->push_back(Dropout(0.5));
  }
  return net;
}

const std::vector<int> adult{108, 256, 128, 1};

Step logistic() {
  Sequential net(Linear(3, 1), Sigmoid());
  return training(net, BCELoss(), sgd(net, 1e-5), torch::randn({5, 3}), labels(5));
}
Step adult_logistic() {
  Sequential net{Linear(108, 1)};
  return training(net, BCEWithLogitsLoss(), sgd(net), torch::randn({20838, 108}), labels(20838));
}
Step mlp(int extra) {
  Sequential net = mlp_net(adult, extra);
  return training(net, BCEWithLogitsLoss(), sgd(net, 1e-3, 1e-4), torch::randn({128, 108}), labels(128));
}
Step mlp_batch_norm() {
  Sequential net = mlp_net(adult, WithBatchNorm | WithDropout);
  return training(net, BCEWithLogitsLoss(), std::make_shared<torch::optim::AdamW>(net->parameters(), 1e-3),
                  torch::randn({128, 108}), labels(128));
}
Step digits() {
  Sequential net = mlp_net({784, 256, 128, 10});
  return training(net, CrossEntropyLoss(), std::make_shared<torch::optim::Adam>(net->parameters(), 1e-3),
                  torch::randn({64, 784}), classes(64));
}
Step wide() {
  Sequential net = mlp_net({784, 2048, 2048, 10});
  return training(net, CrossEntropyLoss(), sgd(net), torch::randn({512, 784}), classes(512));
}
template <class Layer>
Step recurrent(Layer layer) {
  const auto x = torch::randn({50, 32, 32}), dy = torch::randn({50, 32, 128});
  return [=]() mutable {
    const auto y = std::get<0>(layer->forward(x));
    layer->zero_grad();
    y.backward(dy);
  };
}
Step lenet() {
  Sequential net(Conv2d(Conv2dOptions(1, 8, 3).padding(1)), ReLU(), MaxPool2d(2),
                 Conv2d(Conv2dOptions(8, 16, 3).padding(1)), ReLU(), MaxPool2d(2), Flatten(), Linear(784, 10));
  return training(net, CrossEntropyLoss(), sgd(net), torch::randn({64, 1, 28, 28}), classes(64));
}
Step inference(int rows) {
  Sequential net = mlp_net(adult);
  net->eval();
  const auto x = torch::randn({rows, 108});
  return [=]() mutable {
    torch::InferenceMode guard;
    net->forward(x);
  };
}
Step epoch() {
  Sequential net = mlp_net(adult);
  BCEWithLogitsLoss loss;
  auto optimizer = sgd(net, 1e-3, 1e-4);
  const auto x = torch::randn({20838, 108}), y = labels(20838);
  return [=]() mutable {
    for (const auto& rows : torch::randperm(20838).split(128))
      train(net, loss, *optimizer, x.index_select(0, rows), y.index_select(0, rows));
  };
}

}  // namespace

int main(int count, char** words) {
  if (count > 1) torch::set_num_threads(std::atoi(words[1]));
  const std::vector<std::pair<const char*, std::function<Step()>>> rows{
      {"logistic", logistic},
      {"adult_logistic", adult_logistic},
      {"mlp", [] { return mlp(None); }},
      {"mlp_dropout", [] { return mlp(WithDropout); }},
      {"mlp_batch_norm", mlp_batch_norm},
      {"digits", digits},
      {"wide", wide},
      {"lstm", [] { return recurrent(LSTM(32, 128)); }},
      {"gru", [] { return recurrent(GRU(32, 128)); }},
      {"lenet", lenet},
      {"inference_1", [] { return inference(1); }},
      {"inference_1024", [] { return inference(1024); }},
      {"epoch", epoch}};
  for (const auto& [name, make] : rows) {
    if (!bench::wanted(name)) continue;
    torch::manual_seed(0);
    std::printf("%s %.9g\n", name, bench::median_seconds(make()));
    std::fflush(stdout);
  }
}
