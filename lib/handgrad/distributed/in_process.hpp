#pragma once
#include <functional>

#include "handgrad/distributed/communicator.hpp"

namespace handgrad {

/// Runs `work` on ranks that are threads of this process, and returns when all are done: for tests, for labs, and to
/// see what a parallel program does before it is started with mpirun.
///
///     run_ranks(2, [&](Communicator& ranks) {
///       Sequential net{Linear(2, 4), Tanh(), Linear(4, 1)};
///       DataParallel parallel(net, ranks);
///       …
///     });
///
/// Each rank has a default generator of its own, a copy of the caller's, as processes with the same seed have. When a
/// rank throws, the others' waiting ends with RankError, and what it threw comes out here with its rank in front. A
/// rank that returns while others wait for it ends them in the same way.
///
/// Nothing of a network may be shared between ranks. Throws ValueError for size < 1.
void run_ranks(int size, const std::function<void(Communicator&)>& work);

}  // namespace handgrad
