// Times the library on a GPU: training steps, products, and memory-bound kernels against the bandwidth of a copy
// measured in the same run. Times are medians of repetitions, each of many calls without synchronisation. Run by
// `tests/gpu`.
#include <algorithm>
#include <chrono>
#include <cstdio>
#include <functional>
#include <string>
#include <vector>

#include "handgrad/base/backend.hpp"
#include "handgrad/base/views.hpp"
#include "handgrad/handgrad.hpp"
#include "handgrad/training/training_step.hpp"

using namespace handgrad;

namespace {

const Device gpu = Device::cuda();

/// Microseconds per call.
double microseconds(const std::function<void()>& call, int calls = 50) {
  for (int i = 0; i < 10; ++i) call();
  std::vector<double> times;
  for (int repetition = 0; repetition < 11; ++repetition) {
    synchronize(gpu);
    const auto begin = std::chrono::steady_clock::now();
    for (int i = 0; i < calls; ++i) call();
    synchronize(gpu);
    times.push_back(std::chrono::duration<double, std::micro>(std::chrono::steady_clock::now() - begin).count() /
                    calls);
  }
  std::nth_element(times.begin(), times.begin() + 5, times.end());
  return times[5];
}

void row(const char* what, double us, const char* note, double value) {
  std::printf("%-44s %10.2f us   %s %.2f\n", what, us, note, value);
}

template <class... L>
double step_time(std::size_t batch, std::size_t in, std::size_t out, Sequential<float> net, bool recorded,
                 int calls = 50) {
  net.to(gpu);
  MSELoss<float> loss;
  SGD<float> sgd(net.parameters(), {.lr = 1e-3});
  TrainingStep<float> step(net, loss, sgd);
  const Tensor<float> x = randn<float>({batch, in}).to(gpu), y = randn<float>({batch, out}).to(gpu);
  const double us = microseconds(
      [&] {
        if (recorded) {
          step(x, y);
        } else {
          loss.forward(net.forward(x), y);
          sgd.zero_grad();
          net.backward(loss.backward());
          sgd.step();
        }
      },
      calls);
  if (recorded && !step.captured()) std::printf("  (not recorded: %s)\n", step.reason().c_str());
  return us;
}

void notebooks() {
  const auto net = [] {
    return Sequential<float>{Linear<float>(108, 256), ReLU<float>(), Linear<float>(256, 128), ReLU<float>(),
                             Linear<float>(128, 1)};
  };
  const double graph = step_time(128, 108, 1, net(), true, 500), plain = step_time(128, 108, 1, net(), false, 500);
  row("step 108-256-128-1, batch 128, recorded", graph, "target 30 us, share", graph / 30);
  row("step 108-256-128-1, batch 128, call by call", plain, "times the recorded", plain / graph);
}

void wide() {
  constexpr std::size_t n = 4096, classes = 1000;
  const auto net = [] {
    return Sequential<float>{Linear<float>(n, n), ReLU<float>(), Linear<float>(n, n),      ReLU<float>(),
                             Linear<float>(n, n), ReLU<float>(), Linear<float>(n, classes)};
  };
  const auto matrix = [](std::size_t rows, std::size_t columns) { return randn<float>({rows, columns}).to(gpu); };
  const Tensor<float> x = matrix(n, n), W = matrix(n, n), delta = matrix(n, n), last_W = matrix(classes, n),
                      last_delta = matrix(n, classes);
  Tensor<float> square = matrix(n, n), y = matrix(n, classes), last_dW = matrix(classes, n);
  auto& k = backend<float>(gpu).products;
  for (const auto& [name, precision] :
       {std::pair{"FP32", MatmulPrecision::FP32}, {"TF32", MatmulPrecision::TF32}, {"BF16", MatmulPrecision::BF16}}) {
    set_matmul_precision(gpu, precision);
    // Each as in the step, into existing memory. In BF16 this includes rounding the factors.
    const auto time = [&](const Tensor<float>& a, bool ta, const Tensor<float>& b, bool tb, Tensor<float>& c) {
      return microseconds([&] { k.matmul(view::matrix(a), ta, view::matrix(b), tb, 0, view::matrix(c)); }, 5);
    };
    const double products =
        3 * time(x, false, W, true, square) + time(x, false, last_W, true, y) +                     // y = x·Wᵀ
        3 * time(delta, true, x, false, square) + time(last_delta, true, x, false, last_dW) +       // dW = δᵀ·x
        2 * time(delta, false, W, false, square) + time(last_delta, false, last_W, false, square);  // dx = δ·W
    const double step = step_time(n, n, classes, net(), true, 5);
    char what[80];
    std::snprintf(what, sizeof what, "step 4096-4096-4096-4096-1000, %s", name);
    row(what, step, "target 0.85, products/step", products / step);
  }
  set_matmul_precision(gpu, MatmulPrecision::FP32);
}

void bandwidth() {
  constexpr std::size_t rows = 16384, columns = 4096;
  const double bytes = 4.0 * rows * columns;
  const Tensor<float> x = randn<float>({rows, columns}).to(gpu);
  Tensor<float> y = Tensor<float>::empty({rows, columns}, gpu);
  const double copy = 2 * bytes / microseconds([&] { y.copy_from(x); }, 10);
  std::printf("%-44s %10.0f GB/s\n", "copy on the device (read and write)", copy / 1e3);
  // A forward reads x and writes y; a backward reads δ and x or y and writes dx. A norm makes two passes where sums
  // over columns must be complete before use: BatchNorm's mean, then its variance, then y; the sums for dγ and dβ, then
  // dx.
  const auto layer = [&](const std::string& name, auto&& l, double forward, double backward) {
    l.to(gpu);
    const auto print = [&](const std::string& what, double us, double passes) {
      row((name + what).c_str(), us, "target 0.85, of the copy's bandwidth", passes * bytes / us / copy);
    };
    print(" forward", microseconds([&] { l.forward(x); }, 10), forward);
    print(" backward", microseconds([&] { l.backward(y); }, 10), backward);
  };
  layer("ReLU, 16384 x 4096,", ReLU<float>(), 2, 3);
  layer("Sigmoid", Sigmoid<float>(), 2, 3);
  layer("GELU", GELU<float>(), 2, 3);
  layer("Softmax", Softmax<float>(1), 2, 3);
  layer("LayerNorm", LayerNorm<float>({columns}), 2, 5);
  layer("BatchNorm1d", BatchNorm1d<float>(columns), 4, 5);
  layer("Dropout", Dropout<float>(0.5), 2, 2);
}

}  // namespace

int main() {
  if (!cuda_available()) {
    std::printf("no GPU: %s\n", cuda_unavailable_reason().c_str());
    return 77;
  }
  std::printf("handgrad on %s\n", device_name(gpu).c_str());
  notebooks();
  wide();
  bandwidth();
}
