#pragma once
/// The component `mpi` of the package: find_package(handgrad COMPONENTS mpi), target handgrad::mpi. Not included by
/// handgrad.hpp.
#include "handgrad/distributed/communicator.hpp"

namespace handgrad::mpi {

/// The processes started by mpirun or Slurm's srun; otherwise a single rank. The first call initialises MPI unless the
/// program has; the end of the program finalises it.
///
/// Collectives block the calling thread. DataParallel calls them in a separate thread during the backward, since Open
/// MPI's non-blocking ones progress only inside MPI calls.
///
/// If a rank is killed, or ends by an uncaught exception, mpirun ends the others. A rank that returns while others wait
/// for it announces that as it ends, and the others end two seconds later, naming it. So do ranks that wait for each
/// other in different calls, for example after different numbers of batches: "rank 1 is in all_reduce of 1 doubles,
/// rank 0 in all_reduce of 64 floats". Throws RankError if MPI does not support threads, and for MPI errors.
Communicator& world();

}  // namespace handgrad::mpi
