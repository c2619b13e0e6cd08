// Ranks train with a checkpoint, and one of them is killed: `checkpoint FILE WEIGHTS [epoch N RANK | after SECONDS
// RANK]`. A run that reaches its end writes the weights. (checkpoint.sh)
#include <chrono>
#include <csignal>
#include <cstdlib>
#include <cstring>
#include <thread>

#include "handgrad/distributed/mpi.hpp"
#include "handgrad/handgrad.hpp"

namespace hg = handgrad;

int main(int count, char** arguments) {
  hg::Communicator& ranks = hg::mpi::world();
  hg::manual_seed(2);
  const hg::Tensor<float> x = hg::randn({96, 6}), y = hg::randn({96, 1});
  hg::Sequential net{hg::Linear(6, 32), hg::BatchNorm1d(32), hg::ReLU(), hg::Dropout(0.2), hg::Linear(32, 1)};
  hg::DataParallel parallel(net, ranks);
  hg::MSELoss loss;
  hg::Adam adam(net.parameters(), {.lr = 0.01});
  hg::DistributedSampler mine(96, ranks.size(), ranks.rank(), {.seed = 3});
  hg::DataLoader train(hg::TensorDataset(x, y), {.batch_size = 8, .sampler = &mine});
  hg::FitOptions<float> options{.epochs = 40, .checkpoint = arguments[1], .parallel = &parallel, .progress = false};

  const bool victim = count > 5 && ranks.rank() == std::atoi(arguments[5]);
  if (victim && !std::strcmp(arguments[3], "epoch"))
    options.callbacks.push_back([&](const hg::EpochResult& epoch) {
      if (epoch.epoch == std::atoi(arguments[4])) std::raise(SIGKILL);
      return true;
    });
  if (victim && !std::strcmp(arguments[3], "after"))
    std::thread([&] {
      std::this_thread::sleep_for(std::chrono::duration<double>(std::atof(arguments[4])));
      std::raise(SIGKILL);
    }).detach();

  hg::fit(net, loss, adam, train, options);
  if (ranks.rank() == 0) hg::write_safetensors(arguments[2], net.state_dict());
}
