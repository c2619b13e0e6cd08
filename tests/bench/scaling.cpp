// What tests/bench/scaling times, on as many ranks as mpirun starts: steps of the wide network, sums, and when a
// gradient is ready. Rank 0 prints `NAME NUMBER…`, times in seconds.
//     bench_scaling ROWS SECONDS [α β]     rows of a rank's batch; about so long for each training; with α and β also
//                                          trainings over a link that takes so long, in seconds and seconds a byte
#include <algorithm>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <functional>
#include <memory>
#include <thread>
#include <vector>

#include "bench/timing.hpp"
#include "handgrad/distributed/mpi.hpp"
#include "handgrad/handgrad.hpp"

using namespace handgrad;
using Clock = std::chrono::steady_clock;

namespace {

double median(std::vector<double> times) {
  std::nth_element(times.begin(), times.begin() + static_cast<std::ptrdiff_t>(times.size() / 2), times.end());
  return times[times.size() / 2];
}

/// The median of as many calls as all ranks make in about so many seconds.
double median_of(Communicator& world, double seconds, const std::function<void()>& call) {
  call();
  world.barrier();
  const auto start = Clock::now();
  call();
  double once = bench::seconds_since(start);
  world.broadcast(std::as_writable_bytes(std::span(&once, 1)), 0);
  const int count = std::clamp(static_cast<int>(seconds / once), 3, 2000);
  std::vector<double> times;
  for (int i = 0; i < count; ++i) {
    const auto begin = Clock::now();
    call();
    times.push_back(bench::seconds_since(begin));
  }
  return median(times);
}

struct Training {
  Sequential<float> net{Linear(784, 2048), ReLU(), Linear(2048, 2048), ReLU(), Linear(2048, 10)};
  CrossEntropyLoss<float> loss;
  SGD<float> sgd{net.parameters(), {.lr = 1e-3}};
  Tensor<float> x, y;
  Clock::time_point forward_begins, backward_begins, backward_ends;

  explicit Training(std::size_t rows) : x(randn({rows, 784})), y(randint(0, 10, {rows})) {}
  void step() {
    forward_begins = Clock::now();
    loss.forward(net.forward(x), y);
    sgd.zero_grad();
    const Tensor<float>& delta = loss.backward();
    backward_begins = Clock::now();
    net.backward(delta);
    backward_ends = Clock::now();
    sgd.step();
  }
};

/// When each parameter's gradient is ready, after the step's begin.
struct Ready final : GradientListener<float> {
  explicit Ready(const Training& training) : training_(training) {}
  void ready(Parameter<float>& parameter) override {
    sizes.push_back(parameter.numel() * sizeof(float));
    times.push_back(bench::seconds_since(training_.forward_begins));
  }
  std::vector<std::size_t> sizes;
  std::vector<double> times;

 private:
  const Training& training_;
};

/// The ranks with a slower link between them: a sum takes as long as a ring over it, during which no core is busy.
class Link final : public Communicator {
 public:
  Link(Communicator& ranks, double alpha, double beta) : ranks_(ranks), alpha_(alpha), beta_(beta) {
    if (ranks.beside()) beside_ = std::make_unique<Link>(*ranks.beside(), alpha, beta);
  }
  int rank() const override { return ranks_.rank(); }
  int size() const override { return ranks_.size(); }
  void all_reduce(std::span<float> x) override { ranks_.all_reduce(x), wait(x.size_bytes()); }
  void all_reduce(std::span<double> x) override { ranks_.all_reduce(x), wait(x.size_bytes()); }
  void all_reduce(std::span<float> x, float weight, float factor) override {
    ranks_.all_reduce(x, weight, factor), wait(x.size_bytes());
  }
  void broadcast(std::span<std::byte> bytes, int root) override { ranks_.broadcast(bytes, root); }
  void barrier() override { ranks_.barrier(); }
  std::shared_ptr<void> memory(std::size_t bytes) override { return ranks_.memory(bytes); }
  Communicator* beside() override { return beside_.get(); }
  void abort(const std::string& reason) noexcept override { ranks_.abort(reason); }

 private:
  void wait(std::size_t bytes) const {
    const double k = size(), time = 2 * std::ceil(std::log2(k)) * alpha_ + 2 * (k - 1) / k * double(bytes) * beta_;
    std::this_thread::sleep_for(std::chrono::duration<double>(time));
  }
  Communicator& ranks_;
  double alpha_, beta_;
  std::unique_ptr<Link> beside_;
};

/// Steps on all ranks, with gradients in buckets beside the backward, and in one sum after it.
void trainings(Training& training, Communicator& ranks, double seconds, const char* name) {
  for (const std::size_t bytes : {std::size_t{1} << 20, std::size_t{1} << 30}) {
    DataParallel<float> parallel(training.net, ranks, {.bucket_bytes = bytes});
    const double step = median_of(ranks, seconds, [&] { training.step(); });
    if (ranks.rank() == 0) std::printf("%s%s %.9g\n", name, bytes == std::size_t{1} << 20 ? "buckets" : "flat", step);
  }
}

}  // namespace

int main(int count, char** words) {
  Communicator& world = mpi::world();
  if (count != 3 && count != 5) return std::fprintf(stderr, "bench_scaling ROWS SECONDS [ALPHA BETA]\n"), 2;
  const std::size_t rows = std::strtoul(words[1], nullptr, 10);
  const double seconds = std::atof(words[2]);
  const bool first = world.rank() == 0;
  manual_seed(0);
  set_num_threads(1);

  Training training(rows);
  const double alone = median_of(world, seconds, [&] { training.step(); });  // all at once, none waits for another
  if (first) std::printf("alone %.9g\n", alone);
  if (first) {
    std::vector<std::vector<double>> times;
    std::vector<double> ends, steps;
    std::vector<std::size_t> sizes;
    for (int i = 0; i < 7; ++i) {
      Ready ready(training);
      training.step();
      steps.push_back(bench::seconds_since(training.forward_begins));
      ends.push_back(std::chrono::duration<double>(training.backward_ends - training.forward_begins).count());
      sizes = ready.sizes;
      times.resize(sizes.size());
      for (std::size_t p = 0; p < sizes.size(); ++p) times[p].push_back(ready.times[p]);
    }
    for (std::size_t p = 0; p < sizes.size(); ++p) std::printf("ready %.9g %zu\n", median(times[p]), sizes[p]);
    std::printf("backward_end %.9g\nstep_end %.9g\n", median(ends), median(steps));
  }
  world.barrier();

  if (world.size() == 1) return 0;
  trainings(training, world, seconds, "");
  if (count == 5) {
    Link link(world, std::atof(words[3]), std::atof(words[4]));
    trainings(training, link, seconds, "link_");
  }
  const std::shared_ptr<void> shared = world.memory(std::size_t{32} << 20);
  std::vector<float> own(shared ? 0 : std::size_t{8} << 20);
  float* const x = shared ? static_cast<float*>(shared.get()) : own.data();
  for (std::size_t bytes = 64; bytes <= std::size_t{32} << 20; bytes *= 8) {
    const double time = median_of(world, 0.15, [&] { world.all_reduce({x, bytes / sizeof(float)}, 2.0f, 0.25f); });
    if (first) std::printf("sum %zu %.9g\n", bytes, time);
  }
}
