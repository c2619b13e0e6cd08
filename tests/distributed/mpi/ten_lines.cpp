// The README's program on several ranks: one more line, and each rank's share of the rows.
#include <cmath>
#include <cstdio>
#include <handgrad/distributed/mpi.hpp>
#include <handgrad/handgrad.hpp>
namespace hg = handgrad;

static double train(hg::Communicator* ranks) {
  hg::manual_seed(0);
  hg::Tensor<float> x{{0, 0}, {0, 1}, {1, 0}, {1, 1}}, y{{0}, {1}, {1}, {0}};

  hg::Sequential net{hg::Linear(2, 4), hg::Tanh(), hg::Linear(4, 1)};
  hg::BCEWithLogitsLoss loss;
  hg::SGD sgd(net.parameters(), {.lr = 0.5});

  std::optional<hg::DataParallel<float>> parallel;
  if (ranks) {
    parallel.emplace(net, *ranks);  // in a user's program: hg::DataParallel parallel(net, hg::mpi::world());
    x = parallel->share(x);
    y = parallel->share(y);
  }

  double mean = 0;
  for (int epoch = 0; epoch < 1000; ++epoch) {
    const auto& z = net.forward(x);
    auto value = loss.forward(z, y);
    mean = static_cast<double>(value.item());
    if (ranks) mean = all_reduce(*ranks, mean * static_cast<double>(x.size(0))) / 4;
    sgd.zero_grad();
    net.backward(loss.backward());
    sgd.step();
  }
  return mean;
}

int main() {
  hg::Communicator& world = hg::mpi::world();
  const double alone = train(nullptr), together = train(&world);
  if (world.rank() == 0)
    std::printf("on %d ranks the last loss is %.7f, on one alone %.7f\n", world.size(), together, alone);
  return std::abs(together - alone) <= 1e-5 * alone && alone < 0.01 ? 0 : 1;
}
