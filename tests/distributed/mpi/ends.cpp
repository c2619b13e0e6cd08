// Three ranks train; rank 1 ends after ten steps, as the argument says, or goes on to another call. Nobody must wait
// for long.
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <cstring>

#include "handgrad/distributed/mpi.hpp"
#include "handgrad/handgrad.hpp"

namespace hg = handgrad;

int main(int, char** arguments) {
  const char* way = arguments[1];
  hg::Communicator& ranks = hg::mpi::world();
  hg::Sequential net{hg::Linear(3, 4000), hg::Tanh(), hg::Linear(4000, 1)};
  hg::DataParallel parallel(net, ranks);
  for (int step = 0; step < 1000000; ++step) {
    if (ranks.rank() == 1 && step == 10) {
      if (!std::strcmp(way, "killed")) std::raise(SIGKILL);
      if (!std::strcmp(way, "thrown")) throw hg::ValueError("rank 1 cannot go on");
      if (!std::strcmp(way, "returned")) return 0;
      if (!std::strcmp(way, "exited")) std::exit(3);
      if (!std::strcmp(way, "out_of_data")) break;
    }
    net.forward(hg::ones({2, 3}));
    net.backward(hg::ones({2, 1}));
  }
  std::printf("loss of all ranks: %g\n", hg::all_reduce(ranks, 1.0));  // where a training out of data goes on to
}
