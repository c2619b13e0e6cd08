#pragma once
/// The component `mpi` of the package: find_package(handgrad COMPONENTS mpi), target handgrad::mpi. Not in
/// handgrad.hpp.
#include "handgrad/distributed/communicator.hpp"

namespace handgrad::mpi {

/// The processes that mpirun, or Slurm's srun, started; one alone where nobody did. The first call initialises MPI,
/// unless the program has; the end of the program finalises it.
///
/// Collectives block, in the thread that calls them: DataParallel calls them in a thread of its own while the backward
/// runs, since Open MPI's non-blocking ones get on only while somebody calls MPI.
///
/// A rank that is killed, or ends by an exception that nobody catches, is seen by mpirun, which ends the others. One
/// that just returns while others wait for it in a sum says so as it ends, and the others end two seconds later, with
/// its number. Throws RankError for an MPI without threads and for what MPI calls an error.
Communicator& world();

}  // namespace handgrad::mpi
