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
/// for it announces that as it ends, and the others end two seconds later, naming it. Throws RankError if MPI does not
/// support threads, and for MPI errors.
Communicator& world();

}  // namespace handgrad::mpi
