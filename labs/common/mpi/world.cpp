// What makes handgrad-labs-mpi of handgrad-labs: its ranks are processes.
#include "common/ranks.hpp"
#include "handgrad/distributed/mpi.hpp"

[[maybe_unused]] static const bool registered = (
    handgrad::labs::ranks_of_processes = [] { return &handgrad::mpi::world(); }, true);
