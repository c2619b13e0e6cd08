#pragma once
#include <functional>
#include <string>

#include "handgrad/distributed/communicator.hpp"

namespace handgrad::labs {

/// For labs that train on several ranks, `--ranks N`. Where handgrad-labs-mpi was built and there is an mpirun, the
/// program starts itself anew under it, as that; else the ranks are threads.

/// Starts handgrad-labs-mpi, which lies beside this program, with the same arguments on so many ranks. Returns why not.
std::string start_with_mpirun(int ranks, char** arguments);

/// The process's place among those that mpirun started: null in handgrad-labs, and set by handgrad-labs-mpi.
using FindRanks = Communicator* (*)();
extern FindRanks ranks_of_processes;

/// Runs `work` on the processes that mpirun started, or else on that many threads.
void on_ranks(int ranks, const std::function<void(Communicator&)>& work);

}  // namespace handgrad::labs
