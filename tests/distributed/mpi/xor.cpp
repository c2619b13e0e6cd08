// The README's program on several ranks, as it stands there: the ten lines, one more, and what prints the result.
#include <cstdio>
#include <handgrad/distributed/mpi.hpp>
#include <handgrad/handgrad.hpp>
namespace hg = handgrad;

int main() {
  hg::manual_seed(0);
  hg::Tensor<float> x{{0, 0}, {0, 1}, {1, 0}, {1, 1}}, t{{0}, {1}, {1}, {0}};

  hg::Sequential net{hg::Linear(2, 4), hg::Tanh(), hg::Linear(4, 1)};
  hg::BCEWithLogitsLoss loss;
  hg::SGD sgd(net.parameters(), {.lr = 0.5});
  hg::DataParallel parallel(net, hg::mpi::world(), x, t);  // the line more: x and t are this rank's rows from here on

  float last = 0;
  for (int epoch = 0; epoch < 1000; ++epoch) {
    const auto& z = net.forward(x);
    last = loss.forward(z, t).item();
    sgd.zero_grad();
    net.backward(loss.backward());
    sgd.step();
  }
  std::printf("%zu rows on rank %d: loss %.7f\n", x.size(0), hg::mpi::world().rank(), last);
}
