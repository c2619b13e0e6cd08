// What a GPU makes of the library: steps of training, products, and how close memory-bound kernels come to the
// bandwidth of a copy, measured in the same run. Times are medians of repetitions, each of many calls that the host
// does not wait for. `tests/gpu` runs it.
#include <algorithm>
#include <chrono>
#include <cstdio>
#include <functional>
#include <vector>

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
  const Tensor<float> a = randn<float>({n, n}).to(gpu), b = randn<float>({n, classes}).to(gpu);
  for (const auto& [name, precision] :
       {std::pair{"FP32", MatmulPrecision::FP32}, {"TF32", MatmulPrecision::TF32}, {"BF16", MatmulPrecision::BF16}}) {
    set_matmul_precision(gpu, precision);
    const double square = microseconds([&] { matmul(a, a); }, 5), last = microseconds([&] { matmul(a, b); }, 5);
    // Three layers of n by n: forward, dW, and dx for all but the first; then the last layer, three times
    const double products = 8 * square + 3 * last;
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
  const auto layer = [&](const char* name, auto&& l, double passes) {
    l.to(gpu);
    const double us = microseconds([&] { l.forward(x); }, 10);
    row(name, us, "target 0.85, of the copy's bandwidth", passes * bytes / us / copy);
  };
  layer("ReLU forward, 16384 x 4096", ReLU<float>(), 2);
  layer("Sigmoid forward", Sigmoid<float>(), 2);
  layer("GELU forward", GELU<float>(), 2);
  layer("Softmax forward", Softmax<float>(1), 2);
  layer("LayerNorm forward", LayerNorm<float>({columns}), 2);
  layer("BatchNorm1d forward (reads x three times)", BatchNorm1d<float>(columns), 4);
  layer("Dropout forward", Dropout<float>(0.5), 2);
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
