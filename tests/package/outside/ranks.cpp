// A training on as many processes as mpirun starts.
#include <cstdio>
#include <handgrad/distributed/mpi.hpp>
#include <handgrad/handgrad.hpp>
namespace hg = handgrad;

int main() {
  hg::Tensor<float> x{{0, 0}, {0, 1}, {1, 0}, {1, 1}}, y{{0}, {1}, {1}, {0}};
  hg::Sequential net{hg::Linear(2, 4), hg::Tanh(), hg::Linear(4, 1)};
  hg::BCEWithLogitsLoss loss;
  hg::SGD sgd(net.parameters(), {.lr = 0.5});
  hg::Communicator& world = hg::mpi::world();
  hg::DataParallel parallel(net, world, x, y);
  for (int epoch = 0; epoch < 1000; ++epoch) {
    loss.forward(net.forward(x), y);
    sgd.zero_grad();
    net.backward(loss.backward());
    sgd.step();
  }
  std::printf("rank %d of %d, rows: %zu\n", world.rank(), world.size(), x.size(0));
  const auto z = net.forward(x);
  for (std::size_t i = 0; i < x.size(0); ++i)
    if ((z.item(i, 0) > 0) != (y.item(i, 0) > 0.5f)) return 1;
}
