// The same training steps in LibTorch's C++ interface, each at its best number of threads. Prints `NAME SECONDS THREADS`.
// Built by tests/bench/run against the LibTorch that a Python package of PyTorch brings.
#include <torch/torch.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <functional>
#include <thread>
#include <vector>

namespace {

using Clock = std::chrono::steady_clock;
using Step = std::function<void()>;

double seconds_since(Clock::time_point start) { return std::chrono::duration<double>(Clock::now() - start).count(); }

double median_step(const Step& step) {
  int count = 0;
  for (auto start = Clock::now(); seconds_since(start) < 0.4; ++count) step();
  std::vector<double> times;
  for (int round = 0; round < 7; ++round) {
    const auto start = Clock::now();
    for (int i = 0; i < count; ++i) step();
    times.push_back(seconds_since(start) / count);
  }
  std::sort(times.begin(), times.end());
  return times[3];
}

torch::Tensor labels(int n) { return (torch::rand({n, 1}) > 0.5).to(torch::kFloat); }

template <class Loss, class Optimizer>
Step trainer(torch::nn::Sequential net, Loss loss, std::shared_ptr<Optimizer> optimizer, torch::Tensor x, torch::Tensor y) {
  return [=]() mutable {
    auto value = loss(net->forward(x), y);
    optimizer->zero_grad();
    value.backward();
    optimizer->step();
  };
}

Step logistic() {
  torch::nn::Sequential net(torch::nn::Linear(3, 1), torch::nn::Sigmoid());
  return trainer(net, torch::nn::BCELoss(), std::make_shared<torch::optim::SGD>(net->parameters(), 1e-5),
                 torch::randn({5, 3}), labels(5));
}

enum class Extra { None, Dropout, BatchNorm };

Step mlp(Extra extra) {
  using namespace torch::nn;
  Sequential net;
  int inputs = 108;
  for (int outputs : {256, 128}) {
    net->push_back(Linear(inputs, outputs));
    net->push_back(ReLU());
    if (extra == Extra::Dropout) net->push_back(Dropout(0.5));
    if (extra == Extra::BatchNorm) net->push_back(BatchNorm1d(outputs));
    inputs = outputs;
  }
  net->push_back(Linear(inputs, 1));
  const auto x = torch::randn({128, 108}), y = labels(128);
  if (extra == Extra::BatchNorm)
    return trainer(net, BCEWithLogitsLoss(), std::make_shared<torch::optim::AdamW>(net->parameters(), 1e-3), x, y);
  return trainer(net, BCEWithLogitsLoss(), std::make_shared<torch::optim::SGD>(net->parameters(), 1e-3), x, y);
}

}  // namespace

int main() {
  const std::vector<std::pair<const char*, std::function<Step()>>> models = {
      {"logistic", logistic},
      {"mlp", [] { return mlp(Extra::None); }},
      {"mlp_dropout", [] { return mlp(Extra::Dropout); }},
      {"mlp_batch_norm_adamw", [] { return mlp(Extra::BatchNorm); }}};
  for (const auto& [name, make] : models) {
    std::pair<double, unsigned> best{1e9, 0};
    for (unsigned threads = 1; threads <= std::thread::hardware_concurrency(); ++threads) {
      torch::set_num_threads(static_cast<int>(threads));
      torch::manual_seed(0);
      best = std::min(best, {median_step(make()), threads});
    }
    std::printf("%s %.9g %u\n", name, best.first, best.second);
    std::fflush(stdout);
  }
}
