// Training steps of the notebooks' models: forward, loss, backward, update. Beside the 108-256-128-1 network stand its
// bare matrix products, the least that any step can take. `tests/bench/run` puts PyTorch's and LibTorch's times beside
// these.
#include <benchmark/benchmark.h>

#include <functional>

#include "handgrad/handgrad.hpp"
#include "kernels/backend.hpp"

namespace {

using namespace handgrad;
using T = float;

Tensor<T> labels(std::size_t n) {
  Tensor<T> y = rand<T>({n, 1});
  for (std::size_t i = 0; i < n; ++i) y.data()[i] = y.data()[i] > T(0.5);
  return y;
}

template <class Loss, class Optimizer>
void train(benchmark::State& state, Sequential<T>& net, Loss& loss, Optimizer& optimizer, const Tensor<T>& x,
           const Tensor<T>& y) {
  for (auto _ : state) {
    loss.forward(net.forward(x), y);
    optimizer.zero_grad();
    net.backward(loss.backward());
    optimizer.step();
  }
}

// Notebook 000: logistic regression on 5 rows of 3.
void logistic(benchmark::State& state) {
  manual_seed(0);
  Sequential net{Linear(3, 1), Sigmoid()};
  BCELoss loss;
  SGD sgd(net.parameters(), {.lr = 1e-5});
  train(state, net, loss, sgd, randn<T>({5, 3}), labels(5));
}
BENCHMARK(logistic);

// Notebook 003: 108-256-128-1, batches of 128.
void mlp(benchmark::State& state) {
  manual_seed(0);
  Sequential net{Linear(108, 256), ReLU(), Linear(256, 128), ReLU(), Linear(128, 1)};
  BCEWithLogitsLoss loss;
  SGD sgd(net.parameters(), {.lr = 1e-3});
  train(state, net, loss, sgd, randn<T>({128, 108}), labels(128));
}
BENCHMARK(mlp)->Unit(benchmark::kMicrosecond);

void mlp_dropout(benchmark::State& state) {
  manual_seed(0);
  Sequential net{Linear(108, 256), ReLU(), Dropout(0.5), Linear(256, 128), ReLU(), Dropout(0.5), Linear(128, 1)};
  BCEWithLogitsLoss loss;
  SGD sgd(net.parameters(), {.lr = 1e-3});
  train(state, net, loss, sgd, randn<T>({128, 108}), labels(128));
}
BENCHMARK(mlp_dropout)->Unit(benchmark::kMicrosecond);

void mlp_batch_norm_adamw(benchmark::State& state) {
  manual_seed(0);
  Sequential net{Linear(108, 256), ReLU(),           BatchNorm1d(256), Linear(256, 128),
                 ReLU(),           BatchNorm1d(128), Linear(128, 1)};
  BCEWithLogitsLoss loss;
  AdamW adamw(net.parameters());
  train(state, net, loss, adamw, randn<T>({128, 108}), labels(128));
}
BENCHMARK(mlp_batch_norm_adamw)->Unit(benchmark::kMicrosecond);

// The same network's products alone: y = x·Wᵀ three times, dW = δᵀ·x three times, dx = δ·W twice.
void mlp_products(benchmark::State& state) {
  const std::size_t n = 128, sizes[] = {108, 256, 128, 1};
  Tensor<T> x[4], W[4], dW[4];
  for (int i = 0; i < 4; ++i) {
    x[i] = randn<T>({n, sizes[i]});
    if (i > 0) W[i] = randn<T>({sizes[i], sizes[i - 1]});
    if (i > 0) dW[i] = randn<T>({sizes[i], sizes[i - 1]});
  }
  auto& k = kernels::backend<T>(Device::cpu());
  for (auto _ : state) {
    for (int i = 1; i < 4; ++i) k.matmul(x[i - 1], false, W[i], true, 0, x[i]);
    for (int i = 3; i > 0; --i) {
      k.matmul(x[i], true, x[i - 1], false, 0, dW[i]);
      if (i > 1) k.matmul(x[i], false, W[i], false, 0, x[i - 1]);
    }
  }
}
BENCHMARK(mlp_products)->Unit(benchmark::kMicrosecond);

}  // namespace
