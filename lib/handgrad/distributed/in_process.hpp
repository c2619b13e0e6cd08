#pragma once
#include <functional>

#include "handgrad/distributed/communicator.hpp"

namespace handgrad {

/// Runs `work` on ranks that are threads of this process, and returns when all are done: for tests, labs, and trying
/// out a parallel program without mpirun.
///
///     run_ranks(2, [&](Communicator& ranks) {
///       Sequential net{Linear(2, 4), Tanh(), Linear(4, 1)};
///       DataParallel parallel(net, ranks);
///       …
///     });
///
/// Each rank has its own default generator, a copy of the caller's, like processes with the same seed. If a rank
/// throws, waiting ranks get a RankError, and its exception is rethrown here, prefixed with its rank. A rank that
/// returns while others wait for it ends them in the same way.
///
/// Ranks must not share any part of a network. Throws ValueError for size < 1.
void run_ranks(int size, const std::function<void(Communicator&)>& work);

}  // namespace handgrad
